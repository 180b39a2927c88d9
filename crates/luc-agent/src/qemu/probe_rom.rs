//! A firmware of its own that proves an accelerator by running on it.
//!
//! It goes from real mode through protected mode into long mode with paging, as any kernel does,
//! runs 60 million instructions there and leaves through QEMU's `isa-debug-exit` device. A real
//! KVM takes 0.1 s for it including QEMU's start, TCG 0.1–0.2 s. A `/dev/kvm` that interprets
//! kernel code at a million instructions per second takes a minute, and is what this is for.
//! Who calls it: [`super::accel`].

/// Where the firmware must be placed: it fills the 64 KiB below 4 GiB.
const SIZE: usize = 0x1_0000;
/// The processor begins 16 bytes below the end.
const RESET_VECTOR: usize = SIZE - 16;

/// QEMU's exit status when all instructions ran and the sum was right: 2 × 0x15 + 1.
pub(super) const EXIT_RIGHT: i32 = 43;

/// The firmware image.
pub(super) fn image() -> Vec<u8> {
    let mut image = vec![0; SIZE];
    let code = CODE.concat();
    image[..code.len()].copy_from_slice(&code);
    // jmp to the first byte: the 16-bit instruction pointer wraps around.
    image[RESET_VECTOR..RESET_VECTOR + 3].copy_from_slice(b"\xe9\x0d\x00");
    image
}

/// Assembled by GNU as; `rom` is 0xffff0000 (where it is mapped), `low` is 0x8000 (where it goes on
/// after it has copied itself).
#[rustfmt::skip]
const CODE: &[&[u8]] = &[
    b"\xfa", // enter: cli
    b"\xfc", // cld
    b"\x2e\x66\x0f\x01\x16\xba\x00", // lgdtl %cs:romgdt - enter
    b"\x0f\x20\xc0", // movl %cr0, %eax
    b"\x0c\x01", // orb $1, %al
    b"\x0f\x22\xc0", // movl %eax, %cr0
    b"\x66\xea\x19\x00\xff\xff\x08\x00", // ljmpl $8, $rom + (prot - enter)
    b"\x66\xb8\x10\x00", // prot: movw $16, %ax
    b"\x8e\xd8", // movw %ax, %ds
    b"\x8e\xc0", // movw %ax, %es
    b"\x8e\xd0", // movw %ax, %ss
    b"\xbe\x00\x00\xff\xff", // movl $rom, %esi
    b"\xbf\x00\x80\x00\x00", // movl $low, %edi
    b"\xb9\xe8\x00\x00\x00", // movl $(end - enter), %ecx
    b"\xf3\xa4", // rep movsb
    b"\xc7\x05\x00\x10\x00\x00\x03\x20\x00\x00", // movl $0x2003, 0x1000 # maps the first 2 MiB
    b"\xc7\x05\x00\x20\x00\x00\x03\x30\x00\x00", // movl $0x3003, 0x2000
    b"\xc7\x05\x00\x30\x00\x00\x83\x00\x00\x00", // movl $0x83, 0x3000
    b"\x0f\x01\x15\xc0\x80\x00\x00", // lgdtl low + (lowgdt - enter)
    b"\xea\x60\x80\x00\x00\x08\x00", // ljmpl $8, $low + (copy - enter)
    b"\x0f\x20\xe0", // copy: movl %cr4, %eax
    b"\x0c\x20", // orb $0x20, %al # PAE
    b"\x0f\x22\xe0", // movl %eax, %cr4
    b"\xb8\x00\x10\x00\x00", // movl $0x1000, %eax
    b"\x0f\x22\xd8", // movl %eax, %cr3
    b"\xb9\x80\x00\x00\xc0", // movl $0xc0000080, %ecx # EFER
    b"\x0f\x32", // rdmsr
    b"\x80\xcc\x01", // orb $1, %ah # LME
    b"\x0f\x30", // wrmsr
    b"\xb8\x11\x00\x00\x80", // movl $0x80000011, %eax # PG, caches on
    b"\x0f\x22\xc0", // movl %eax, %cr0
    b"\xea\x8b\x80\x00\x00\x18\x00", // ljmpl $24, $low + (long - enter)
    b"\xb9\x00\x2d\x31\x01", // long: movl $20000000, %ecx
    b"\x31\xc0", // xorl %eax, %eax
    b"\x89\x04\x25\x00\x90\x00\x00", // movl %eax, 0x9000
    b"\xff\x04\x25\x00\x90\x00\x00", // spin: incl 0x9000
    b"\xff\xc9", // decl %ecx
    b"\x75\xf5", // jnz spin
    b"\xb0\x15", // movb $0x15, %al # exit status 2 * 0x15 + 1 = 43
    b"\x81\x3c\x25\x00\x90\x00\x00\x00\x2d\x31\x01", // cmpl $20000000, 0x9000
    b"\x74\x02", // je out
    b"\xb0\x16", // movb $0x16, %al # the sum was wrong
    b"\xe6\xf4", // out: outb %al, $0xf4
    b"\xf4", // dead: hlt
    b"\xeb\xfd", // jmp dead
    b"\x1f\x00", // romgdt: .word 31
    b"\xc8\x00\xff\xff", // .long rom + (gdt - enter)
    b"\x1f\x00", // lowgdt: .word 31
    b"\xc8\x80\x00\x00", // .long low + (gdt - enter)
    b"\x66\x90", // .balign 8
    b"\x00\x00\x00\x00\x00\x00\x00\x00", // gdt: .quad 0
    b"\xff\xff\x00\x00\x00\x9b\xcf\x00", // .quad 0x00cf9b000000ffff # 8: 32-bit code
    b"\xff\xff\x00\x00\x00\x93\xcf\x00", // .quad 0x00cf93000000ffff # 16: data
    b"\xff\xff\x00\x00\x00\x9b\xaf\x00", // .quad 0x00af9b000000ffff # 24: 64-bit code
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_copies_itself_whole() {
        // movl $(end - enter), %ecx
        let code = CODE.concat();
        let copied = code.windows(5).find(|bytes| bytes[0] == 0xb9).unwrap();
        assert_eq!(
            u32::from_le_bytes(copied[1..].try_into().unwrap()) as usize,
            code.len()
        );
        assert_eq!(image().len(), SIZE);
    }
}
