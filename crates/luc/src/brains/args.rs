//! The arguments of `luc dvms`, with examples.

use clap::Subcommand;

use crate::operate_args::ApiArgs;

/// Look at the distributed scheduler of machines. It runs dry: it plans, and moves nothing.
#[derive(Debug, Subcommand)]
pub enum DvmsCommand {
    /// Show the brain of every node: load, room, whether it is in a partition, whom it sees.
    #[command(after_help = "Examples:\n  \
        luc dvms status           # the nodes of the site that is asked\n  \
        luc dvms status --all     # of every site, gathered for a few seconds at the most\n  \
        luc dvms status --json")]
    Status {
        /// The nodes of every site.
        #[arg(long)]
        all: bool,
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Tell why the scheduler would have moved which machine where.
    #[command(after_help = "Examples:\n  \
        luc dvms explain                  # the partitions led lately, the newest first\n  \
        luc dvms explain web-1            # those that would have moved the server web-1\n  \
        luc dvms explain 12@4f0c9a2b1d3e  # one partition, by the beginning of its name\n  \
        luc dvms explain --all --json\n\n\
        Each node remembers the newest 64 partitions that it led, until it restarts.")]
    Explain {
        /// A server's name or id, or the beginning of a partition's name.
        #[arg(value_name = "SERVER|PARTITION")]
        about: Option<String>,
        /// What the nodes of every site have thought.
        #[arg(long)]
        all: bool,
        /// Where the API is.
        #[command(flatten)]
        api: ApiArgs,
    },
}
