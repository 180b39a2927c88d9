//! Carries out a command line.

use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use luc_api::policy::Policy;
use luc_api::value::Secret;
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, CloudCommand, Command, ConfigCommand, CreateArgs, NodeArgs, PolicyCommand};
use crate::cloud::Founded;
use crate::clouds::{Access, Domains, identity_url};
use crate::config::Config;
use crate::node::Node;
use crate::operate_args::{IdentityCommand, OpCommand};
use crate::steps::{print, say};
use crate::{brains, cloud, control, demo, operate, signals, sim, up};

/// Carries out `cli`.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let log = cli.log.as_deref();
    match cli.command {
        Command::Cloud(CloudCommand::Create(args)) => {
            start_logging(log.unwrap_or("warn"), false)?;
            create(args, cli.json).await
        }
        Command::Node(args) => node(args, log, cli.json).await,
        Command::Site(command) => {
            start_logging(log.unwrap_or("warn"), false)?;
            operate::site(command, cli.json).await
        }
        Command::Join(args) => {
            start_logging(log.unwrap_or("warn"), false)?;
            operate::join(args, cli.json).await
        }
        Command::Quota(command) => operate::quota::quota(command, cli.json).await,
        Command::Op(OpCommand::Show { id, api }) => operate::operation(&id, &api, cli.json).await,
        Command::Identity(IdentityCommand::Rotate { void, api }) => {
            operate::rotate(void, &api, cli.json).await
        }
        Command::Split { site, data_dir } => control::split(&data_dir, &site, cli.json).await,
        Command::Heal { data_dir } => control::heal(&data_dir, cli.json).await,
        Command::Up(args) => {
            // While sites come one after the other, some hear of others before they know them.
            let quiet = "warn,luc_runtime::fabric=error";
            start_logging(log.unwrap_or(quiet), false)?;
            up::run(args, cli.json).await
        }
        Command::Demo(args) => {
            start_logging(log.unwrap_or("error"), false)?;
            demo::run(args, cli.json).await
        }
        Command::Dvms(command) => brains::show::run(command, cli.json).await,
        Command::Sim(command) => {
            start_logging(log.unwrap_or("warn"), false)?;
            tokio::task::spawn_blocking(move || sim::run(command, cli.json))
                .await
                .context("simulating")?
        }
        Command::Config(ConfigCommand::Show { config }) => {
            let config = config
                .as_deref()
                .map_or_else(|| Ok(Config::default()), Config::read)?;
            if cli.json {
                print(&serde_json::to_string_pretty(&config)?);
            } else {
                print(toml::to_string_pretty(&config)?.trim_end());
            }
            Ok(())
        }
        Command::Policy(PolicyCommand::Check { file }) => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("reading {}", file.display()))?;
            Policy::with_overrides(&text).with_context(|| format!("in {}", file.display()))?;
            print(&format!("{} is good.", file.display()));
            Ok(())
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "luc", &mut script);
            print(String::from_utf8_lossy(&script).trim_end());
            Ok(())
        }
    }
}

async fn create(args: CreateArgs, json_wanted: bool) -> anyhow::Result<()> {
    let mut config = args
        .config
        .as_deref()
        .map_or_else(|| Ok(Config::default()), Config::read)?;
    if let Some(directory) = args.data_dir {
        config.node.data_dir = directory;
    }
    if let Some(name) = args.site {
        config.site.name = name;
    }
    // Read again as a whole, so that the options are checked as the file is.
    let config = Config::parse(&toml::to_string(&config)?)?;
    let password = args
        .admin_password_file
        .map(|path| {
            let text = std::fs::read_to_string(&path);
            let text = text.with_context(|| format!("reading {}", path.display()))?;
            anyhow::ensure!(!text.trim().is_empty(), "{} is empty", path.display());
            Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
        })
        .transpose()?;
    let founded = cloud::create(&config, password).await?;
    let data_dir = &config.node.data_dir;
    let access = admin_of(&config, &founded);
    // Port 0 is none that anybody can be told before the node runs.
    let told = config.api.listen.port() != 0;
    let written = if told {
        access.write_new(data_dir)
    } else {
        Ok(None)
    };
    let clouds_yaml = written.unwrap_or_else(|error| {
        // The cloud is there, and its password must be told.
        say(&format!("luc: {error:#}"));
        None
    });
    let clouds_yaml = clouds_yaml.map(std::path::absolute).transpose()?;
    let generated = founded.generated;
    if json_wanted {
        let password = generated.then(|| founded.admin_password.reveal().to_owned());
        let prefix = founded.site.prefix()?.to_string();
        print(
            &json!({"site": founded.site.name, "prefix": prefix, "data_dir": data_dir,
            "admin": "admin", "password": password, "clouds_yaml": clouds_yaml})
            .to_string(),
        );
        return Ok(());
    }
    print(&format!(
        "Founded a cloud at site {} in {}.",
        founded.site.name,
        data_dir.display()
    ));
    if generated {
        let password = founded.admin_password.reveal();
        print(&format!("Password of admin: {password}"));
    }
    let config = args
        .config
        .map_or("…".into(), |file| file.display().to_string());
    say(&closing(clouds_yaml.as_deref(), generated, &config));
    Ok(())
}

/// How the admin of a cloud that was founded as `config` says logs in on the node's own machine.
fn admin_of(config: &Config, founded: &Founded) -> Access {
    Access {
        auth_url: identity_url(&at_home(config.api.listen).to_string()),
        user: "admin".to_owned(),
        password: founded.admin_password.clone(),
        project: "admin".to_owned(),
        region: config.site.region.clone(),
        domains: Domains::default(),
    }
}

/// What a founder is told at the end.
fn closing(clouds_yaml: Option<&Path>, generated: bool, config: &str) -> String {
    let start = format!("Start the node with `luc node --config {config}`.");
    match clouds_yaml {
        Some(file) => format!(
            "{start} Then, as admin, whose password {file} has for its owner only:\n\n  \
             export OS_CLIENT_CONFIG_FILE={file} OS_CLOUD=luc\n  luc site list",
            file = file.display()
        ),
        None if generated => format!("The password is kept nowhere; write it down. {start}"),
        None => start,
    }
}

/// Where a node that listens on `address` is reached from its own machine.
fn at_home(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn node(args: NodeArgs, log: Option<&str>, json_wanted: bool) -> anyhow::Result<()> {
    if let Some(command) = args.command {
        return operate::nodes(command, json_wanted).await;
    }
    let config = Config::read(&args.config.context("which node? Use --config FILE")?)?;
    start_logging(log.unwrap_or(&config.log.filter), config.log.json)?;
    let hosts: Vec<String> = config
        .has(crate::config::Role::Compute)
        .then(|| config.node.name.clone())
        .into_iter()
        .collect();
    let node = Node::start(&config, &hosts).await?;
    print(&json!({"node": config.node.name, "address": node.address.to_string()}).to_string());
    signals::interrupted().await?;
    tracing::info!("stopping; machines run on");
    node.stop().await
}

fn start_logging(filter: &str, json_wanted: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| {
        format!("the log filter {filter:?}: use for example `info,luc_agent=debug`")
    })?;
    let no_color = std::env::var_os("NO_COLOR");
    let colored = colored(std::io::stderr().is_terminal(), no_color.as_deref());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colored)
        .with_writer(std::io::stderr);
    let started = if json_wanted {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    started.map_err(|error| anyhow::anyhow!("starting the log: {error}"))
}

/// Whether logs have colours: for people who look at them and did not say no (<https://no-color.org>).
fn colored(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gets_no_colours_and_neither_does_who_wants_none() {
        assert!(colored(true, None));
        assert!(colored(true, Some(OsStr::new(""))));
        assert!(!colored(true, Some(OsStr::new("1"))));
        assert!(!colored(false, None));
    }

    #[test]
    fn a_node_on_every_address_is_reached_on_the_loopback() {
        let at_home = |text: &str| at_home(text.parse().unwrap()).to_string();
        assert_eq!(at_home("0.0.0.0:9000"), "127.0.0.1:9000");
        assert_eq!(at_home("[::]:9000"), "[::1]:9000");
        assert_eq!(at_home("192.0.2.1:9000"), "192.0.2.1:9000");
    }

    #[test]
    fn a_founder_is_told_where_the_password_stands() {
        let file = Path::new("/data/clouds.yaml");
        let said = closing(Some(file), true, "luc.toml");
        assert!(
            said.contains("OS_CLIENT_CONFIG_FILE=/data/clouds.yaml"),
            "{said}"
        );
        assert!(said.contains("--config luc.toml"), "{said}");
        assert!(closing(None, true, "x").contains("kept nowhere"));
    }
}
