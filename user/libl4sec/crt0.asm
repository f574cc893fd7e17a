; SPDX-License-Identifier: MIT
; The first instructions of a program that the kernel starts as sigma0, and the two kernel entries.
; At _start: EAX magic, EBX boot info, no stack.  [M 4.1] [G9] [G32]

bits 32
%define WORD(n) (4 * (n))
%define SAVED_STACK WORD(71)            ; struct l4_words, behind its 71 parameter words
%define BOOT_MAGIC 0x4c345345

extern main, l4_exit, l4_init
global _start, l4_call_int, l4_call_sysenter

section .bss
align 16
start_stack: resb 16384
start_stack_top:

section .text
_start:
    mov esp, start_stack_top
    xor ebp, ebp
    cmp eax, BOOT_MAGIC
    jne .wrong
    push ebx
    call l4_init
    push ebx
    call main
    push eax
    call l4_exit
.wrong:
    hlt                                 ; not ours to run: ends in an exception without a handler
    jmp .wrong

; void l4_call_int(struct l4_words *): words 5 and up are read and written through ECX, which the
; kernel preserves.
l4_call_int:
    push ebp
    push ebx
    push esi
    push edi
    mov ecx, [esp + 20]
    mov eax, [ecx + WORD(0)]
    mov ebx, [ecx + WORD(1)]
    mov esi, [ecx + WORD(2)]
    mov edi, [ecx + WORD(3)]
    mov ebp, [ecx + WORD(4)]
    add ecx, WORD(5)
    int 0x40
    mov [ecx - WORD(5)], eax
    mov [ecx - WORD(4)], ebx
    mov [ecx - WORD(3)], esi
    mov [ecx - WORD(2)], edi
    mov [ecx - WORD(1)], ebp
.popping equ $ - l4_call_int
    pop edi
    pop esi
    pop ebx
    pop ebp
    ret
.end equ $ - l4_call_int

; void l4_call_sysenter(struct l4_words *): ECX is the user's ESP and the buffer at once, so ESP points
; at word 5 during the call.  All other registers are results: the real ESP waits behind the words.
l4_call_sysenter:
    push ebp
    push ebx
    push esi
    push edi
    mov ecx, [esp + 20]
    mov [ecx + SAVED_STACK], esp
    mov eax, [ecx + WORD(0)]
    mov ebx, [ecx + WORD(1)]
    mov esi, [ecx + WORD(2)]
    mov edi, [ecx + WORD(3)]
    mov ebp, [ecx + WORD(4)]
    add ecx, WORD(5)
    mov edx, .return
    sysenter
.behind equ $ - l4_call_sysenter
.return:
    mov esp, [ecx + SAVED_STACK - WORD(5)]
.back equ $ - l4_call_sysenter
    mov [ecx - WORD(5)], eax
    mov [ecx - WORD(4)], ebx
    mov [ecx - WORD(3)], esi
    mov [ecx - WORD(2)], edi
    mov [ecx - WORD(1)], ebp
.popping equ $ - l4_call_sysenter
    pop edi
    pop esi
    pop ebx
    pop ebp
    ret
.end equ $ - l4_call_sysenter

%include "user/libl4sec/entry_frame.inc"
