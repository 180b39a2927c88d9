//! QEMU's command line, as a pure function of the machine.
//!
//! Every path is relative to the machine's own directory, which is QEMU's working directory, so
//! nothing that a user chose and no long path stands in an option. Nothing is on by default.

use std::fmt::Write as _;

use luc_core::Uuid;
use luc_core::id::ServerId;

use super::accel::ProvenAccelerator;
use super::instance::{Instance, Launch};
use super::isolation::SANDBOX;
use crate::desired::Nic;
use crate::network;
use crate::observed::Forward;

/// QEMU's ring buffer for the serial console must be a power of two.
const CONSOLE_RING: u64 = crate::console::CONSOLE_MAX;

/// What besides the instance's record decides how QEMU is started.
pub(crate) struct Surroundings<'a> {
    pub(crate) sandbox: bool,
    /// The disks' file names in order, the root disk first.
    pub(crate) disks: &'a [String],
    /// Wait for a suspended guest's memory instead of booting.
    pub(crate) incoming: bool,
}

/// The argument that marks the machine's process. An id may contain a comma, which QEMU wants
/// doubled.
pub(crate) fn marker(id: &ServerId) -> String {
    let id = id.as_str().replace(',', ",,");
    format!("guest=luc-{id},debug-threads=on")
}

/// All arguments.
pub(crate) fn arguments(
    instance: &Instance,
    launch: &Launch,
    surroundings: &Surroundings<'_>,
) -> Vec<String> {
    let memory = instance.shape.memory.get();
    let mut line = Line::default();
    line.add("-name", marker(&instance.id));
    if let Ok(uuid) = Uuid::parse(instance.id.as_str()) {
        line.add("-uuid", uuid.hyphenated());
    }
    // Without graphics the firmware and boot loaders talk to the serial line.
    line.add(
        "-machine",
        format!("{},graphics=off,usb=off", launch.machine),
    );
    line.add("-accel", accelerator(launch.accelerator, memory));
    line.add("-cpu", launch.cpu.clone());
    line.add("-smp", instance.shape.vcpus.get().max(1).to_string());
    line.add("-m", memory.to_string());
    line.flag("-nodefaults");
    line.flag("-no-user-config");
    line.add("-display", "none");
    line.add("-rtc", "base=utc");
    // A guest that ends leaves its machine for a last look at console and state.
    line.add("-action", "reboot=reset,shutdown=pause,panic=pause");
    line.add("-qmp", "unix:qmp.sock,server=on,wait=off");
    line.add(
        "-chardev",
        format!("ringbuf,id=console,size={CONSOLE_RING}"),
    );
    line.add("-serial", "chardev:console");
    line.add("-object", "rng-random,id=rng,filename=/dev/urandom");
    line.add("-device", "virtio-rng-pci,rng=rng");
    line.add("-device", "pvpanic");
    for (number, file) in surroundings.disks.iter().enumerate() {
        disk(&mut line, number, file);
    }
    config_drive(&mut line);
    nic(&mut line, instance, launch);
    if surroundings.sandbox {
        line.add("-sandbox", SANDBOX);
    }
    if surroundings.incoming {
        line.flag("-S");
        line.add("-incoming", "defer");
    }
    line.arguments
}

#[derive(Default)]
struct Line {
    arguments: Vec<String>,
}

impl Line {
    fn add(&mut self, option: &str, value: impl Into<String>) {
        self.arguments.extend([option.to_owned(), value.into()]);
    }

    fn flag(&mut self, option: &str) {
        self.arguments.push(option.to_owned());
    }
}

/// TCG's translation cache is bounded: by default it takes 200 MB and more of each guest. The guest
/// of `guest/` boots in 6.1 s with 8 MiB, which is thrown away all the time, and in 3.4 s with 16;
/// larger guests run larger programs.
fn accelerator(accelerator: ProvenAccelerator, memory_mib: u64) -> String {
    match accelerator {
        ProvenAccelerator::Kvm => "kvm".to_owned(),
        ProvenAccelerator::Tcg => {
            format!(
                "tcg,thread=multi,tb-size={}",
                (memory_mib / 16).clamp(16, 64)
            )
        }
    }
}

fn disk(line: &mut Line, number: usize, file: &str) {
    let options = "discard=unmap";
    line.add(
        "-blockdev",
        format!("driver=file,node-name=file{number},filename={file},aio=threads,{options}"),
    );
    line.add(
        "-blockdev",
        format!("driver=qcow2,node-name=disk{number},file=file{number},{options}"),
    );
    let boot = if number == 0 { ",bootindex=1" } else { "" };
    line.add(
        "-device",
        format!("virtio-blk-pci,id=virtio-disk{number},drive=disk{number}{boot}"),
    );
}

/// A virtio disk and no CD drive: small kernels have the driver for the former.
fn config_drive(line: &mut Line) {
    line.add(
        "-blockdev",
        "driver=file,node-name=config-file,filename=../config.iso,read-only=on,locking=off",
    );
    line.add(
        "-blockdev",
        "driver=raw,node-name=config,file=config-file,read-only=on",
    );
    line.add(
        "-device",
        "virtio-blk-pci,id=config-drive,drive=config,serial=config-2",
    );
}

fn nic(line: &mut Line, instance: &Instance, launch: &Launch) {
    let Nic::UserMode { .. } = &launch.nic else {
        return;
    };
    let mut netdev = "user,id=net0".to_owned();
    for forward in &launch.forwards {
        let Forward { host, guest_port } = forward;
        // Writing to a string cannot fail.
        let _ = write!(netdev, ",hostfwd=tcp:{host}-:{guest_port}");
    }
    line.add("-netdev", netdev);
    let mac = network::mac_address(&launch.nic, &instance.id).unwrap_or_default();
    // No option ROM: nobody boots from this network.
    line.add(
        "-device",
        format!("virtio-net-pci,id=nic0,netdev=net0,mac={mac},romfile="),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Marks;
    use crate::testing;
    use luc_core::units::MemoryMib;

    fn instance() -> Instance {
        let id = ServerId::parse("8d0c4a5e-1111-8222-8333-444455556666").unwrap();
        Instance::unbuilt(&id, testing::server("s").shape, Marks::default())
    }

    fn launch(nic: Nic) -> Launch {
        Launch {
            machine: "pc-i440fx-10.0".into(),
            accelerator: ProvenAccelerator::Tcg,
            cpu: "max".into(),
            forwards: vec![Forward {
                guest_port: 22,
                host: "127.0.0.1:40022".parse().unwrap(),
            }],
            nic,
        }
    }

    fn line(launch: &Launch, incoming: bool) -> String {
        let disks = ["root-0.qcow2".to_owned(), "swap-0.qcow2".to_owned()];
        let surroundings = Surroundings {
            sandbox: true,
            disks: &disks,
            incoming,
        };
        arguments(&instance(), launch, &surroundings).join(" ")
    }

    #[test]
    fn a_guest_without_nic_has_no_network_at_all() {
        let line = line(&launch(Nic::None), false);
        assert!(
            !line.contains("netdev") && line.contains("-nodefaults"),
            "{line}"
        );
        assert!(!line.contains("-incoming"));
    }

    #[test]
    fn an_id_with_a_comma_adds_no_option() {
        let id = ServerId::parse("a,process=b").unwrap();
        assert_eq!(marker(&id), "guest=luc-a,,process=b,debug-threads=on");
    }

    #[test]
    fn forwards_listen_on_the_hosts_loopback_only() {
        let nic = Nic::UserMode {
            mac: Some("fa:16:3e:01:02:03".into()),
            forward: vec![22],
        };
        let line = line(&launch(nic), false);
        assert!(
            line.contains("user,id=net0,hostfwd=tcp:127.0.0.1:40022-:22"),
            "{line}"
        );
        assert!(line.contains("mac=fa:16:3e:01:02:03,romfile="), "{line}");
    }

    #[test]
    fn the_root_disk_boots_and_the_others_do_not() {
        let line = line(&launch(Nic::None), false);
        assert!(line.contains("drive=disk0,bootindex=1"), "{line}");
        assert!(
            line.contains("filename=swap-0.qcow2") && line.contains("drive=disk1 "),
            "{line}"
        );
        assert_eq!(line.matches("bootindex").count(), 1);
    }

    #[test]
    fn a_resumed_guest_waits_for_its_memory_on_the_same_machine() {
        let line = line(&launch(Nic::None), true);
        assert!(line.ends_with("-S -incoming defer"), "{line}");
        assert!(line.contains("-machine pc-i440fx-10.0,"));
    }

    #[test]
    fn the_translation_cache_grows_with_the_guest_between_two_bounds() {
        let size = |memory: MemoryMib| accelerator(ProvenAccelerator::Tcg, memory.get());
        assert!(size(MemoryMib(64)).ends_with("tb-size=16"));
        assert!(size(MemoryMib(512)).ends_with("tb-size=32"));
        assert!(size(MemoryMib(65536)).ends_with("tb-size=64"));
        assert_eq!(accelerator(ProvenAccelerator::Kvm, 64), "kvm");
    }
}
