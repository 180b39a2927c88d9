//! The command line: what can be asked, with examples.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::brains::args::DvmsCommand;
use crate::config::DriverKind;
use crate::operate_args::{
    IdentityCommand, JoinArgs, NodesCommand, OpCommand, QuotaCommand, SiteCommand,
};
use crate::sim::args::SimCommand;

/// LUC OS: many small data centres, one OpenStack-compatible cloud, no centre.
#[derive(Debug, Parser)]
#[command(name = "luc", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// What is logged: `warn`, `info`, `luc_agent=debug`, …
    #[arg(long, global = true, env = "LUC_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Found or inspect a cloud.
    #[command(subcommand)]
    Cloud(CloudCommand),
    /// Run one node: the program a server runs; or look at the nodes of the cloud.
    Node(NodeArgs),
    /// Look at the sites of the cloud, and let them come and go.
    #[command(subcommand)]
    Site(SiteCommand),
    /// Join a site as a node, or the cloud as a site.
    Join(JoinArgs),
    /// See where the limits of a project are lent, and keep a part of them for a site.
    #[command(subcommand)]
    Quota(QuotaCommand),
    /// Ask what became of writes that another site had to carry out.
    #[command(subcommand)]
    Op(OpCommand),
    /// Look after the identity service.
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Cut a site of a running `luc up --sites` off from the others.
    #[command(after_help = "Example:\n  luc split rennes --data-dir .luc")]
    Split {
        /// The site.
        site: String,
        /// The directory that `luc up` was given.
        #[arg(long, default_value = ".luc", value_name = "DIR")]
        data_dir: PathBuf,
    },
    /// Take back every cut of a running `luc up --sites`.
    #[command(after_help = "Example:\n  luc heal --data-dir .luc")]
    Heal {
        /// The directory that `luc up` was given.
        #[arg(long, default_value = ".luc", value_name = "DIR")]
        data_dir: PathBuf,
    },
    /// Run a development cloud in this process.
    Up(UpArgs),
    /// Show the main job: boot real machines with the stock OpenStack client.
    Demo(DemoArgs),
    /// Look at the distributed scheduler of machines: loads, partitions, plans and their reasons.
    #[command(subcommand)]
    Dvms(DvmsCommand),
    /// Simulate whole clouds with the very code that nodes run.
    #[command(subcommand)]
    Sim(SimCommand),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask the policy rules.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  luc completion bash > /etc/bash_completion.d/luc")]
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Found or inspect a cloud.
#[derive(Debug, Subcommand)]
pub enum CloudCommand {
    /// Found a cloud: its first site's key and store, the default domain, an admin, roles, flavors.
    #[command(after_help = "Examples:\n  \
        luc cloud create --config luc.toml\n  \
        luc cloud create --data-dir /var/lib/luc --site grenoble --admin-password-file pw\n\n\
        The password of `admin` stands in clouds.yaml in the data directory, for its owner only.")]
    Create(CreateArgs),
}

/// How to found a cloud.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The node's configuration; the other options override it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the node keeps everything.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The name of the founding site.
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,
    /// Read the admin's password from this file instead of making one.
    #[arg(long, value_name = "FILE")]
    pub admin_password_file: Option<PathBuf>,
}

/// How to run a node.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    luc node --config /etc/luc/luc.toml\n  \
    luc node list                         # the nodes of all sites\n  \
    LUC_LOG=debug luc node --config luc.toml\n\n\
    SIGTERM and SIGINT end it gracefully; virtual machines go on running and are taken over by \
    the next start.")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct NodeArgs {
    /// The node's configuration.
    #[arg(long, value_name = "FILE", required = true)]
    pub config: Option<PathBuf>,
    /// Instead of running one.
    #[command(subcommand)]
    pub command: Option<NodesCommand>,
}

/// How to run a development cloud.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    luc up                                  # one node, QEMU, port 9000, data in ./.luc\n  \
    luc up --nodes 6 --driver fake          # six computes that only pretend\n  \
    luc up --listen 127.0.0.1:0 --ephemeral # a free port, nothing kept\n  \
    luc up --driver fake --sites grenoble,luxembourg,nancy,rennes   # four sites, one cloud\n\n\
    Then, in another shell:\n  \
    export OS_CLIENT_CONFIG_FILE=.luc/clouds.yaml OS_CLOUD=luc\n  \
    openstack server list")]
pub struct UpArgs {
    /// How many compute nodes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub nodes: u16,
    /// What runs the machines; without it, QEMU if it is installed, else the fake driver.
    #[arg(long, value_enum)]
    pub driver: Option<DriverKind>,
    /// The accelerator of QEMU: `auto` proves KVM by booting something tiny.
    #[arg(long, default_value = "auto", value_parser = ["auto", "kvm", "tcg"])]
    pub accel: String,
    /// Address and port of the API; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Where everything is kept.
    #[arg(long, default_value = ".luc", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Keep everything in a directory that is removed at the end.
    #[arg(long, conflicts_with = "data_dir")]
    pub ephemeral: bool,
    /// The name of the site.
    #[arg(long, default_value = "site-1", value_name = "NAME")]
    pub site: String,
    /// Several sites instead of one, each with --nodes computes and an API port of its own.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME,…",
        conflicts_with = "site"
    )]
    pub sites: Vec<String>,
    /// Round trips between the sites in ms: a JSON array of rows, or rows of numbers with commas.
    #[arg(long, value_name = "FILE", requires = "sites")]
    pub rtt: Option<PathBuf>,
}

/// How to show the main job.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    luc demo --image guest/build/luc-guest.qcow2\n  \
    luc demo --keep        # leave the cloud and its machines running to play with\n\n\
    `make demo` installs what is missing, builds, and calls this.")]
pub struct DemoArgs {
    /// The bootable image to upload.
    #[arg(
        long,
        default_value = "guest/build/luc-guest.qcow2",
        value_name = "FILE"
    )]
    pub image: PathBuf,
    /// How many machines to boot.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub servers: u16,
    /// What runs the machines; without it, QEMU if it is installed, else the fake driver.
    #[arg(long, value_enum)]
    pub driver: Option<DriverKind>,
    /// The accelerator of QEMU.
    #[arg(long, default_value = "auto", value_parser = ["auto", "kvm", "tcg"])]
    pub accel: String,
    /// The stock client; without it, `.venv/bin/openstack`, then `openstack` in the PATH.
    #[arg(long, value_name = "FILE")]
    pub openstack: Option<PathBuf>,
    /// Where everything is kept; without it, a directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address and port of the API.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub listen: SocketAddr,
    /// Leave the cloud running until it is interrupted.
    #[arg(long)]
    pub keep: bool,
    /// Only the machines of one site, not the four sites.
    #[arg(long)]
    pub one_site: bool,
    /// How long a machine may take to reach user space, in seconds.
    #[arg(long, default_value_t = 180, value_name = "SECS")]
    pub boot_timeout: u64,
}

/// Look at the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration in force, defaults included.
    #[command(after_help = "Examples:\n  luc config show > luc.toml\n  \
        luc config show --config luc.toml --json")]
    Show {
        /// The node's configuration; without it, the defaults.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Ask the policy rules.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Check an operator's `policy.yaml` and say what it changes.
    #[command(after_help = "Example:\n  luc policy check policy.yaml")]
    Check {
        /// The file.
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_that_runs_something_shows_examples() {
        let mut command = Cli::command();
        // Global options reach the commands only when all is built.
        command.build();
        for path in [
            &["cloud", "create"][..],
            &["node"],
            &["up"],
            &["demo"],
            &["config", "show"],
            &["dvms", "status"],
            &["dvms", "explain"],
            &["sim", "run"],
            &["sim", "trace"],
            &["sim", "sweep"],
            &["sim", "check"],
            &["sim", "replay"],
            &["sim", "report"],
            &["site", "ticket"],
            &["site", "list"],
            &["site", "show"],
            &["site", "leave"],
            &["site", "remove"],
            &["site", "allow"],
            &["node", "list"],
            &["node", "revoke"],
            &["join"],
            &["op", "show"],
            &["identity", "rotate"],
            &["split"],
            &["heal"],
        ] {
            let mut found = &command;
            for name in path {
                found = found.find_subcommand(name).expect("the command is there");
            }
            let help = found.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{path:?} shows no example");
        }
    }
}
