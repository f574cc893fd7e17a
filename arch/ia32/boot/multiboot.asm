; SPDX-License-Identifier: MIT
;
; From a Multiboot 1 loader to C: 32-bit protected mode, paging off, EAX magic, EBX information.  Maps the
; first 4 MB twice, at 0 and at KERNEL_BASE, with 4 KB pages, which every CPU has.

        bits    32
%include "offsets.inc"

        extern  arch_start
        extern  enter_user
        extern  kernel_pd
        extern  boot_table
        extern  kernel_stack_top

        global  multiboot_entry

MULTIBOOT_MAGIC equ 0x1badb002
MULTIBOOT_FLAGS equ 3                           ; modules on page boundaries; memory information

        section .multiboot progbits alloc noexec nowrite align=4
        dd      MULTIBOOT_MAGIC
        dd      MULTIBOOT_FLAGS
        dd      -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

        section .text progbits alloc exec nowrite align=16

multiboot_entry: ; at its physical address until paging is on
        cli
        cld
        mov     esi, eax
        mov     edi, ebx

        mov     ecx, 1024                       ; boot_table: 4 MB from 0, present and writable
        mov     eax, 0x003
        mov     edx, boot_table - KERNEL_BASE
.fill:  mov     [edx], eax
        add     eax, 4096
        add     edx, 4
        dec     ecx
        jnz     .fill

        mov     eax, boot_table - KERNEL_BASE + 3
        mov     [kernel_pd - KERNEL_BASE], eax
        mov     [kernel_pd - KERNEL_BASE + KERNEL_PDE * 4], eax
        mov     eax, kernel_pd - KERNEL_BASE
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80010001                 ; PG, WP, PE
        mov     cr0, eax
        mov     eax, .high
        jmp     eax

.high:  mov     esp, kernel_stack_top
        xor     ebp, ebp                        ; the end of every backtrace
        push    edi
        push    esi
        call    arch_start
        add     esp, 8
        jmp     enter_user

        section .note.GNU-stack noalloc noexec nowrite progbits
