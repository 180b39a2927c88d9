//! What only the server's host can tell: its console and its measurements.

use luc_api::ApiError;
use luc_api::compute::server_action::GetConsoleOutput;
use serde_json::{Value, json};

use super::access;
use super::action::{Action, admit};
use super::state::PowerState;
use crate::Services;
use crate::compute::model::server::Server;
use crate::compute::ports::AskError;
use crate::reply::Reply;
use crate::request::Request;

/// `os-getConsoleOutput`.
pub(in crate::compute) async fn output(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    let body: GetConsoleOutput = request.body()?;
    let host = host(&server)?;
    let asked = services
        .compute
        .hosts
        .console_output(host, &server.id, body.get.lines())
        .await;
    let output = asked.map_err(|error| match error {
        AskError::NoSuchServer { .. } => {
            ApiError::not_found("Guest does not have a console available.")
        }
        error => refusal(&server, &error),
    })?;
    // Nova drops control characters but for tab and line feed.
    let clean: String = output
        .chars()
        .filter(|c| !c.is_ascii_control() || matches!(c, '\t' | '\n'))
        .collect();
    Reply::json(&json!({"output": clean}))
}

/// `GET /servers/{id}/diagnostics`.
pub(in crate::compute) async fn diagnostics(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    let host = host(&server)?;
    let asked = services.compute.hosts.diagnostics(host, &server.id).await;
    let measured = asked.map_err(|error| refusal(&server, &error))?;
    let answer = if request.version.at_least(2, 48) {
        standard(&server, &measured)
    } else {
        plain(&measured)
    };
    Reply::json(&answer)
}

fn host(server: &Server) -> Result<&str, ApiError> {
    server
        .host()
        .ok_or_else(|| ApiError::conflict(format!("Instance {} is not ready", server.id)))
}

fn refusal(server: &Server, error: &AskError) -> ApiError {
    tracing::debug!(server = %server.id, %error, "a host did not answer about a server");
    match error {
        AskError::Unreachable { .. } => ApiError::Unavailable {
            message: "The host of the server does not answer at the moment.".to_owned(),
        },
        AskError::NoSuchServer { .. } | AskError::Failed { .. } => {
            ApiError::conflict(format!("Instance {} is not ready", server.id))
        }
    }
}

/// The drivers that the API knows. Ours is none of them; the one that drives QEMU is nearest, and
/// `hypervisor` says what it really is.
const DRIVERS: [&str; 5] = ["libvirt", "xenapi", "vmwareapi", "ironic", "hyperv"];

const CPU: [&str; 3] = ["id", "time", "utilisation"];
const DISK: [&str; 5] = [
    "read_bytes",
    "read_requests",
    "write_bytes",
    "write_requests",
    "errors_count",
];
const NIC: [&str; 11] = [
    "mac_address",
    "rx_octets",
    "rx_errors",
    "rx_drop",
    "rx_packets",
    "rx_rate",
    "tx_octets",
    "tx_errors",
    "tx_drop",
    "tx_packets",
    "tx_rate",
];

/// The form of 2.48: these members and no others. What a host leaves out and its record does not
/// tell is null.
fn standard(server: &Server, measured: &Value) -> Value {
    let pick = |from: &Value, names: &[&str]| -> Value {
        let picked = names.iter().map(|name| {
            let value = from.get(name).cloned().unwrap_or(Value::Null);
            ((*name).to_owned(), value)
        });
        Value::Object(picked.collect())
    };
    let list = |name: &str, names: &[&str]| -> Value {
        let items = measured
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        Value::Array(items.map(|item| pick(item, names)).collect())
    };
    let told = |name: &str| measured.get(name).cloned().unwrap_or(Value::Null);
    let (disks, nics) = (list("disk_details", &DISK), list("nic_details", &NIC));
    let count = |items: &Value| items.as_array().map_or(0, Vec::len);
    let driver = measured.get("driver").and_then(Value::as_str);
    json!({
        "state": state(server.power_state),
        "driver": driver.filter(|name| DRIVERS.contains(name)).unwrap_or(DRIVERS[0]),
        "hypervisor": told("hypervisor"),
        "hypervisor_os": told("hypervisor_os"),
        "uptime": told("uptime"),
        "config_drive": server.personal.config_drive,
        "num_cpus": server.flavor.vcpus,
        "num_nics": count(&nics),
        "num_disks": count(&disks),
        "cpu_details": list("cpu_details", &CPU),
        "disk_details": disks,
        "nic_details": nics,
        "memory_details": pick(&told("memory_details"), &["maximum", "used"]),
    })
}

/// The word of diagnostics for what a VM is.
const fn state(power: PowerState) -> &'static str {
    match power {
        PowerState::NoState => "pending",
        PowerState::Running => "running",
        PowerState::Paused => "paused",
        PowerState::Shutdown => "shutdown",
        PowerState::Crashed => "crashed",
        PowerState::Suspended => "suspended",
    }
}

/// The form before: whatever a hypervisor says, flat, as Nova's libvirt driver names it.
fn plain(measured: &Value) -> Value {
    let mut answer = serde_json::Map::new();
    let items = |name: &str| measured.get(name).and_then(Value::as_array).cloned();
    for (index, cpu) in items("cpu_details").unwrap_or_default().iter().enumerate() {
        answer.insert(format!("cpu{index}_time"), cpu["time"].clone());
    }
    for (index, disk) in items("disk_details").unwrap_or_default().iter().enumerate() {
        let name = format!("vd{}", char::from(b'a' + (index % 26) as u8));
        answer.insert(format!("{name}_read"), disk["read_bytes"].clone());
        answer.insert(format!("{name}_read_req"), disk["read_requests"].clone());
        answer.insert(format!("{name}_write"), disk["write_bytes"].clone());
        answer.insert(format!("{name}_write_req"), disk["write_requests"].clone());
        answer.insert(format!("{name}_errors"), disk["errors_count"].clone());
    }
    if let Some(memory) = measured.get("memory_details") {
        answer.insert("memory".to_owned(), memory["maximum"].clone());
        answer.insert("memory-actual".to_owned(), memory["used"].clone());
    }
    Value::Object(answer)
}

/// `changePassword`: there is no agent inside guests that would do it.
pub(in crate::compute) fn change_password(
    services: &Services,
    request: &Request,
) -> Result<Reply, ApiError> {
    let server = access::authorized(&services.store.snapshot(), request)?;
    admit(Action::ChangePassword, &server, access::is_admin(request))?;
    Err(ApiError::NotImplemented {
        message: "Unable to set password on instance".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::server::fixture::active;

    #[test]
    fn diagnostics_have_these_members_and_no_others() {
        let measured = json!({
            "state": "odd", "driver": "qemu", "hypervisor": "qemu", "secret": "x",
            "cpu_details": [{"id": 0, "time": 17, "extra": 1}],
            "disk_details": [{"read_bytes": 1}],
            "memory_details": {"maximum": 128, "used": 64},
        });
        let answer = standard(&active(1), &measured);
        assert_eq!(
            answer["cpu_details"],
            json!([{"id": 0, "time": 17, "utilisation": null}])
        );
        assert_eq!(answer["num_disks"], 1);
        assert_eq!(answer["nic_details"], json!([]));
        assert_eq!(
            (&answer["state"], &answer["driver"]),
            (&json!("running"), &json!("libvirt"))
        );
        assert_eq!(answer["uptime"], Value::Null);
        assert_eq!(answer.get("secret"), None);
        assert_eq!(answer.as_object().unwrap().len(), 13);
    }

    #[test]
    fn older_diagnostics_are_flat() {
        let measured = json!({
            "cpu_details": [{"id": 0, "time": 17}],
            "disk_details": [{"read_bytes": 1, "read_requests": 2}],
            "memory_details": {"maximum": 128, "used": 64},
        });
        let answer = plain(&measured);
        assert_eq!(answer["cpu0_time"], 17);
        assert_eq!(answer["vda_read_req"], 2);
        assert_eq!(answer["memory"], 128);
    }
}
