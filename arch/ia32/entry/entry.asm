; SPDX-License-Identifier: MIT
;
; Ways into the kernel and out of it.  tss.esp0 is the end of the current thread's struct user_frame, so an
; entry from user mode saves the registers where they belong:
;
;       ss esp eflags cs eip        pushed by the CPU (sysenter: by the stub)
;       error vector                the stub; some exceptions bring an error code
;       edx ecx ebp edi esi ebx eax the stub: descending addresses end at frame.w[0]
;
; (sysenter fills in what it needs of this by itself.)
; Then the stack becomes the one kernel stack, which is empty whenever user code runs.  An entry from
; kernel mode makes the same frame, without ss and esp, on the stack it found.

        bits    32
%include "offsets.inc"

%define W(n) (THREAD_FRAME + 4 * (n))

        extern  kernel_stack_top
        extern  kernel_exit
        extern  sys_entry
        extern  ipc_fast
        extern  boot_sched
        extern  clock_offset
        extern  cpu_tss
        extern  trap_user
        extern  trap_kernel
        extern  trap_double_fault
        extern  trap_nmi
        extern  trap_machine_check
        extern  trap_stack_top
        extern  relocated
        extern  frame_count

        global  vector_stubs
        global  entry_text_start
        global  entry_text_end
        global  sysenter_entry
        global  sysenter_entry_c
        global  sysenter_entry_stepped
        global  syscall_entry
        global  enter_user
        global  usersend_fast
        global  double_fault_entry
        global  nmi_entry
        global  machine_check_entry

%macro  PUSH_REGISTERS 0
        push    edx
        push    ecx
        push    ebp
        push    edi
        push    esi
        push    ebx
        push    eax
%endmacro
%macro  POP_REGISTERS 0
        pop     eax
        pop     ebx
        pop     esi
        pop     edi
        pop     ebp
        pop     ecx
        pop     edx
%endmacro

; User code may have put anything into its segment registers and into DF.
%macro  KERNEL_SEGMENTS 0
        mov     ecx, USER_DS
        mov     ds, ecx
        mov     es, ecx
        cld
%endmacro

        section .text.entry progbits alloc exec nowrite align=16

entry_text_start:

; ---- sysenter: EDX user EIP, ECX user ESP, ESP = &tss.esp0  [M 4.1.1] [G9] -------------------------

; Behind it ESP is the frame, with the entry room below it, eax = W0 and ebx = W1.  cs, ss, error and vector
; are what they were: all frames have the same cs and ss, and the other two mean nothing here.
%macro  SYSENTER_FRAME 0
        mov     esp, [esp]
        sub     esp, FRAME_SIZE
        mov     [esp + FRAME_ESP], ecx
        mov     [esp + FRAME_EIP], edx
        mov     [esp + FRAME_ECX], ecx
        mov     [esp + FRAME_EDX], edx
        mov     [esp], eax
        mov     [esp + 4], ebx
        mov     [esp + 8], esi
        mov     [esp + 12], edi
        mov     [esp + 16], ebp
%endmacro

; Arithmetic flags need not be kept.  Others are rare: those threads go the general way, and leave by iret.
%macro  SYSENTER_FLAGS 0
        pushfd
        test    dword [esp], FLAGS_ODD
        jnz     sysenter_odd
        mov     dword [esp + 4 + FRAME_EFLAGS], FLAG_IF | 2
        mov     byte [esp + 4 - THREAD_FRAME + THREAD_SLOW_EXIT], 0
%endmacro

; Without the shortcut in assembly: boot option ipc=c.
        align   16
sysenter_entry_c:
        SYSENTER_FRAME
        SYSENTER_FLAGS
        lea     ebx, [esp + 4 - THREAD_FRAME]
        jmp     sysenter_general

        align   16
sysenter_entry:
        SYSENTER_FRAME
        SYSENTER_FLAGS
%include "arch/ia32/entry/ipc_fast.inc"

.general: ; the frame is saved, and nothing else has been done
        lea     ebx, [esp + 4 - THREAD_FRAME]
sysenter_general:
        mov     dword [ss:ebx + THREAD_FRAME + FRAME_VECTOR], SYSENTER_VECTOR
system_call:
        mov     ecx, USER_DS
        mov     ds, ecx
        mov     es, ecx
        mov     esp, kernel_stack_top
        test    byte [ebx + W(0)], 15
        jnz     .other
        mov     eax, ebx
        call    ipc_fast                        ; eax = the thread to resume, or 0
        test    eax, eax
        jz      .other

        ; What is left of arch_prepare().
        mov     edx, [eax + THREAD_TASK]
        cmp     edx, [boot_cpu + CPU_LOADED]
        je      .loaded
        mov     [boot_cpu + CPU_LOADED], edx
        mov     ecx, [edx + TASK_PD_PHYS]
        mov     [cpu_tss + AREA_CR3], ecx
        mov     cr3, ecx
.loaded:
        lea     ecx, [eax + THREAD_FRAME + FRAME_SIZE]
        mov     [cpu_tss + AREA_ESP0], ecx
        jmp     enter_user.thread

.other: mov     eax, ebx
        call    sys_entry
        ; Nothing in the way, and the thread that is prepared goes on at once: kernel_exit() would only say so.
        cmp     dword [boot_cpu + CPU_HURDLES], 0
        jne     enter_user
        cmp     ebx, [boot_cpu + CPU_CURRENT]
        jne     enter_user
        cmp     dword [ebx + THREAD_CONT], 0
        jne     enter_user
        cmp     byte [ebx + THREAD_HALT_PENDING], 0
        jne     enter_user
        mov     eax, ebx
        jmp     enter_user.thread

; The user program had TF set: the CPU trapped at sysenter_entry, and trap.c came here with TF clear.
        align   16
sysenter_entry_stepped:
        SYSENTER_FRAME
        pushfd
        or      dword [esp], FLAG_TF
sysenter_odd: ; NT set would make the next iret a task switch; TF is in the frame only
        pop     eax
        or      eax, FLAG_IF
        mov     [esp + FRAME_EFLAGS], eax
        push    dword 2
        popfd
        mov     byte [esp - THREAD_FRAME + THREAD_SLOW_EXIT], 1
        lea     ebx, [esp - THREAD_FRAME]
        jmp     sysenter_general

; ---- int 0x40  [M 4.1.2] [G9] ----------------------------------------------------------------------

        align   16
syscall_entry:
        push    dword 0
        push    dword SYSCALL_VECTOR
        PUSH_REGISTERS
        mov     byte [esp - THREAD_FRAME + THREAD_SLOW_EXIT], 1
        lea     ebx, [esp - THREAD_FRAME]
        push    dword 2                         ; NT, AC, DF away (int cleared TF already)
        popfd
        jmp     system_call

; ---- the way out: nothing but the kernel stack's top matters here ------------------------------------

        align   16
enter_user:
        call    kernel_exit                     ; eax = the thread
.thread:
        mov     ecx, USER_DS
        mov     fs, ecx
        mov     gs, ecx
        lea     esp, [eax + THREAD_FRAME]
        cmp     byte [eax + THREAD_SLOW_EXIT], 0
        jne     .full
        mov     ecx, [esp + FRAME_ESP]
        mov     edx, [esp + FRAME_EIP]
        pop     eax
        pop     ebx
        pop     esi
        pop     edi
        pop     ebp
        sti                                     ; takes effect behind sysexit
        sysexit
.full:
        mov     ecx, [esp + FRAME_EFLAGS]
        and     ecx, USER_EFLAGS
        or      ecx, FLAG_IF | 2
        mov     [esp + FRAME_EFLAGS], ecx
        mov     dword [esp + FRAME_CS], USER_CS
        mov     dword [esp + FRAME_SS], USER_DS
        POP_REGISTERS
        add     esp, 8
        iretd

; ---- exceptions and interrupts -----------------------------------------------------------------------

%macro  STUB 2                                  ; vector, has the CPU pushed an error code
        align   8
vector_%1:
%if %2 == 0
        push    dword 0
%endif
        push    dword %1
        jmp     trap_entry
%endmacro

%assign vector 0
%rep 0x30
  %if vector = 2 || vector = 8 || vector = 18   ; task gates
  %elif vector = 10 || vector = 11 || vector = 12 || vector = 13 || vector = 14 || vector = 17 || vector = 21 || vector = 29 || vector = 30
        STUB    vector, 1
  %else
        STUB    vector, 0
  %endif
  %assign vector vector + 1
%endrep

        align   16
trap_entry:
        PUSH_REGISTERS
        mov     ebx, esp
        KERNEL_SEGMENTS
        test    dword [ebx + FRAME_EFLAGS], FLAG_VM
        jnz     .virtual
.flat:  test    byte [ebx + FRAME_CS], 3
        jz      .kernel
.user:  mov     esp, kernel_stack_top
        sub     ebx, THREAD_FRAME
        mov     byte [ebx + THREAD_SLOW_EXIT], 1
        push    ebx
        call    trap_user
        add     esp, 4
        jmp     enter_user

.kernel: ; stay on this stack, unless it is the few words that the code above works on
        mov     eax, [ebx + FRAME_VECTOR]
        cmp     eax, 1
        je      .apart
        cmp     eax, 3
        je      .apart
        cmp     eax, VECTOR_COM2
        je      .apart
        mov     eax, [ebx + FRAME_EIP]
        sub     eax, entry_text_start
        cmp     eax, entry_text_end - entry_text_start
        jae     .stay
        mov     esp, trap_stack_top
.stay:  push    ebx
        call    trap_kernel                     ; eax = the frame to resume
        cmp     eax, relocated
        je      .relocated
        mov     esp, eax
        POP_REGISTERS
        add     esp, 8
        iretd

.relocated: ; another stack pointer: eip, cs, eflags go below it
        mov     edx, [eax + FRAME_ESP]
        sub     edx, 12
        mov     ecx, [eax + FRAME_EIP]
        mov     [edx], ecx
        mov     ecx, [eax + FRAME_CS]
        mov     [edx + 4], ecx
        mov     ecx, [eax + FRAME_EFLAGS]
        mov     [edx + 8], ecx
        mov     [eax + FRAME_ESP], edx
        mov     esp, eax
        POP_REGISTERS
        mov     esp, [relocated + FRAME_ESP]
        iretd

; A debugger may write right below the stack pointer that it sees (GDB calls functions that way): neither the
; frame nor our own calls may be there.  None of these vectors comes again before it has returned.
.apart: lea     eax, [ebx + FRAME_ESP]
        mov     esi, ebx
        mov     edi, relocated
        mov     ecx, FRAME_ESP / 4
        rep movsd
        mov     [edi], eax
        mov     ebx, relocated
        mov     esp, trap_stack_top
        jmp     .stay

; Virtual 8086 mode.  User code cannot get there on a CPU, but an iret with VM set takes it there in an
; emulator that forgets to look at the privilege level.  gs, fs, ds and es stand above ss: move the frame
; up to where it belongs.  What goes back has no VM, and flat segments.  The flag alone proves nothing
; there: after adcx and adox the same emulator pushes bits that no register holds.
.virtual:
        lea     ecx, [ebx + FRAME_SIZE + 16]
        cmp     ecx, [cpu_tss + AREA_ESP0]
        jne     .flat
        lea     esi, [ebx + FRAME_SIZE - 4]
        lea     edi, [ebx + FRAME_SIZE - 4 + 16]
        mov     ecx, FRAME_SIZE / 4
        std
        rep movsd
        cld
        add     ebx, 16
        jmp     .user

entry_text_end:

        section .text progbits alloc exec nowrite align=16

; Task gates: the CPU has saved everything in the interrupted task's TSS and loaded ours.
double_fault_entry:
        add     esp, 4                          ; error code, always 0
        call    trap_double_fault               ; does not return

nmi_entry:
        call    trap_nmi
        iretd                                   ; back to the interrupted task
        jmp     nmi_entry                       ; the next NMI starts behind the iret

machine_check_entry:
        call    trap_machine_check              ; does not return

        section .rodata progbits alloc noexec nowrite align=4

vector_stubs:
%assign vector 0
%rep 0x30
  %if vector = 2 || vector = 8 || vector = 18
        dd      0
  %else
        dd      vector_ %+ vector
  %endif
  %assign vector vector + 1
%endrep
        times VECTOR_COUNT - 0x30 - 1 dd 0
        dd      syscall_entry

        align   4
usersend_fast: ; instructions that may fault, and where to go on
        dd      sysenter_entry.user_first, sysenter_entry.user_last, sysenter_entry.user_copy
        dd      sysenter_entry.general

%include "arch/ia32/debug/entry_frame.inc"

        section .note.GNU-stack noalloc noexec nowrite progbits
