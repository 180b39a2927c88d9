//! Carries out a command line.

use anyhow::Context as _;
use clap::CommandFactory as _;
use luc_api::policy::Policy;
use luc_api::value::Secret;
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, CloudCommand, Command, ConfigCommand, CreateArgs, NodeArgs, PolicyCommand};
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
        Command::Split { site, data_dir } => control::split(&data_dir, &site).await,
        Command::Heal { data_dir } => control::heal(&data_dir).await,
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
    let data_dir = config.node.data_dir.display().to_string();
    if json_wanted {
        let password = founded
            .generated
            .then(|| founded.admin_password.reveal().to_owned());
        let prefix = founded.site.prefix()?.to_string();
        print(
            &json!({"site": founded.site.name, "prefix": prefix, "data_dir": data_dir,
            "admin": "admin", "password": password})
            .to_string(),
        );
        return Ok(());
    }
    print(&format!(
        "Founded a cloud at site {} in {data_dir}.",
        founded.site.name
    ));
    if founded.generated {
        print(&format!(
            "Password of admin: {}",
            founded.admin_password.reveal()
        ));
        say("It is kept nowhere; write it down. Start the node with `luc node --config …`.");
    }
    Ok(())
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
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = if json_wanted {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    started.map_err(|error| anyhow::anyhow!("starting the log: {error}"))
}
