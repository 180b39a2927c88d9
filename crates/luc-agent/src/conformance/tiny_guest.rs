//! A whole guest in one boot sector, for tests of real hypervisors.
//!
//! Says hello on the serial line, counts beats there three times a second, and shuts down when the
//! power button is pressed. Half a second from start to hello under QEMU's TCG, next to no
//! processor time after that. The count lives in a register, so it also shows whether a guest's
//! state survived. It needs a PC with an i440FX board and SeaBIOS.

/// What it writes to its serial line when it is up.
pub const UP_TEXT: &str = "tiny guest is up";
/// What it writes before each count.
pub const BEAT_TEXT: &str = "beat ";

/// A raw disk that boots it.
pub fn disk() -> Vec<u8> {
    // Firmware refuses disks that are too small to have a geometry.
    let mut disk = vec![0; 1 << 20];
    let code = CODE.concat();
    disk[..code.len()].copy_from_slice(&code);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// The number of the last beat on a console.
pub fn last_beat(console: &str) -> Option<u32> {
    let (_, last) = console.rsplit_once(BEAT_TEXT)?;
    // The line may still be on its way.
    let complete = last.contains('\n').then_some(last).or_else(|| {
        let before = &console[..console.len() - last.len() - BEAT_TEXT.len()];
        before.rsplit_once(BEAT_TEXT).map(|(_, beat)| beat)
    })?;
    u32::from_str_radix(complete.get(..8)?, 16).ok()
}

/// Assembled by GNU as for address 0x7c00.
#[rustfmt::skip]
const CODE: &[&[u8]] = &[
    b"\xfa", // _start: cli
    b"\x31\xc0", // xorw %ax, %ax
    b"\x8e\xd8", // movw %ax, %ds
    b"\x8e\xd0", // movw %ax, %ss
    b"\xbc\x00\x7c", // movw $0x7c00, %sp
    b"\xb0\xff", // movb $0xff, %al # mask the second interrupt controller: SCI is polled
    b"\xe6\xa1", // outb %al, $0xa1
    b"\xba\x02\x06", // movw $0x602, %dx # PM1 enable (SeaBIOS puts PM1 at 0x600)
    b"\xb8\x00\x01", // movw $0x100, %ax # PWRBTN_EN
    b"\xef", // outw %ax, %dx
    b"\xbe\x86\x7c", // movw $hello, %si
    b"\xe8\x50\x00", // call puts
    b"\x66\x31\xc9", // xorl %ecx, %ecx # count of beats
    b"\xb3\x06", // beat: movb $6, %bl # 6 timer ticks of 55 ms
    b"\xfb", // tick: sti
    b"\xf4", // hlt
    b"\xfa", // cli
    b"\xba\x00\x06", // movw $0x600, %dx # PM1 status
    b"\xed", // inw %dx, %ax
    b"\xa9\x00\x01", // testw $0x100, %ax # PWRBTN_STS
    b"\x75\x2f", // jnz button
    b"\xfe\xcb", // decb %bl
    b"\x75\xf0", // jnz tick
    b"\x66\x41", // incl %ecx
    b"\xbe\x99\x7c", // movw $count, %si
    b"\xe8\x33\x00", // call puts
    b"\x66\x89\xc8", // movl %ecx, %eax
    b"\xb7\x08", // movb $8, %bh
    b"\x66\xc1\xc0\x04", // hex: roll $4, %eax
    b"\x66\x50", // pushl %eax
    b"\x24\x0f", // andb $15, %al
    b"\x3c\x0a", // cmpb $10, %al
    b"\x1c\x69", // sbbb $0x69, %al
    b"\x2f", // das
    b"\xe8\x28\x00", // call putc
    b"\x66\x58", // popl %eax
    b"\xfe\xcf", // decb %bh
    b"\x75\xea", // jnz hex
    b"\xbe\xba\x7c", // movw $nl, %si
    b"\xe8\x12\x00", // call puts
    b"\xeb\xc3", // jmp beat
    b"\xbe\x9f\x7c", // button: movw $bye, %si
    b"\xe8\x0a\x00", // call puts
    b"\xba\x04\x06", // movw $0x604, %dx # PM1 control
    b"\xb8\x00\x20", // movw $0x2000, %ax # SLP_EN; type 0 is S5 on this board
    b"\xef", // outw %ax, %dx
    b"\xf4", // dead: hlt
    b"\xeb\xfd", // jmp dead
    b"\xac", // puts: lodsb
    b"\x84\xc0", // testb %al, %al
    b"\x74\x15", // jz done
    b"\xe8\x02\x00", // call putc
    b"\xeb\xf6", // jmp puts
    b"\x52", // putc: pushw %dx
    b"\x50", // pushw %ax
    b"\xba\xfd\x03", // movw $0x3fd, %dx
    b"\xec", // busy: inb %dx, %al
    b"\xa8\x20", // testb $0x20, %al
    b"\x74\xfb", // jz busy
    b"\xba\xf8\x03", // movw $0x3f8, %dx
    b"\x58", // popw %ax
    b"\xee", // outb %al, %dx
    b"\x5a", // popw %dx
    b"\xc3", // done: ret
    b"tiny guest is up\r\n\0", // hello: .asciz "tiny guest is up\r\n"
    b"beat \0", // count: .asciz "beat "
    b"tiny guest: power button\r\n\0", // bye: .asciz "tiny guest: power button\r\n"
    b"\r\n\0", // nl: .asciz "\r\n"
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_fits_before_the_boot_signature() {
        assert!(CODE.concat().len() <= 510);
        assert_eq!(disk()[510..512], [0x55, 0xaa]);
    }

    #[test]
    fn the_last_whole_beat_is_read_from_a_console() {
        assert_eq!(
            last_beat("tiny guest is up\r\nbeat 0000000A\r\nbeat 0000000B\r\n"),
            Some(11)
        );
        assert_eq!(last_beat("beat 0000000A\r\nbeat 00"), Some(10));
        assert_eq!(last_beat("beat 00"), None);
        assert_eq!(last_beat(""), None);
    }
}
