; SPDX-License-Identifier: MIT
;
; Control transfers of the debugger that C cannot express: another stack, a non-local return, and
; the registers of the caller.  Interrupts are off in all of them.

        bits    32
        section .text

        global  arch_call_on_stack
        global  arch_guard_call
        global  arch_guard_unwind
        global  arch_debug_capture
        global  arch_debug_break
        global  arch_debug_fill_stack

        extern  kernel_stack

; void arch_call_on_stack(void *top, void (*fn)(void *), void *arg)
; The frame pointer chain goes on across the switch, so a backtrace shows what was interrupted.
arch_call_on_stack:
        push    ebp
        mov     ebp, esp
        mov     ecx, [ebp + 12]
        mov     edx, [ebp + 16]
        mov     esp, [ebp + 8]
        push    edx
        call    ecx
        mov     esp, ebp
        pop     ebp
        ret

; void arch_debug_fill_stack(uint32_t pattern)
arch_debug_fill_stack:
        mov     eax, [esp + 4]
        push    edi
        mov     edi, kernel_stack
        mov     ecx, esp
        sub     ecx, edi
        shr     ecx, 2
        rep stosd
        pop     edi
        ret

; bool arch_guard_call(struct arch_guard *guard, void (*fn)(void *), void *arg)
arch_guard_call:
        mov     eax, [esp + 4]
        mov     [eax], ebx
        mov     [eax + 4], esi
        mov     [eax + 8], edi
        mov     [eax + 12], ebp
        mov     [eax + 16], esp
        mov     ecx, [esp]
        mov     [eax + 20], ecx
        push    dword [esp + 12]
        call    [esp + 12]
        add     esp, 4
        mov     eax, 1
        ret

; void arch_guard_unwind(const struct arch_guard *guard): return false from arch_guard_call
arch_guard_unwind:
        mov     ecx, [esp + 4]
        mov     ebx, [ecx]
        mov     esi, [ecx + 4]
        mov     edi, [ecx + 8]
        mov     ebp, [ecx + 12]
        mov     esp, [ecx + 16]
        cld
        xor     eax, eax
        ret

; void arch_debug_capture(struct debug_regs *regs): offsets of struct debug_regs
arch_debug_capture:
        push    eax
        mov     eax, [esp + 8]
        mov     [eax + 4], ecx
        mov     [eax + 8], edx
        mov     [eax + 12], ebx
        lea     ecx, [esp + 8]
        mov     [eax + 16], ecx
        mov     [eax + 20], ebp
        mov     [eax + 24], esi
        mov     [eax + 28], edi
        mov     ecx, [esp + 4]
        mov     [eax + 32], ecx
        pushfd
        pop     dword [eax + 36]
        mov     [eax + 40], cs
        mov     [eax + 42], ss
        mov     [eax + 44], ds
        mov     [eax + 46], es
        mov     [eax + 48], fs
        mov     [eax + 50], gs
        mov     dword [eax + 52], 0
        mov     dword [eax + 56], 0
        mov     byte [eax + 60], 0
        mov     ecx, [eax + 4]
        pop     dword [eax]
        ret

; void arch_debug_break(void)
arch_debug_break:
        push    ebp
        mov     ebp, esp
        int3
        pop     ebp
        ret

        section .note.GNU-stack noalloc noexec nowrite progbits
