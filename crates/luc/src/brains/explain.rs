//! The stories of partitions as people read them: when, who led, why, who took part, what the
//! solver found, and each move with its reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;
use luc_core::PeerId;
use luc_dvms::event::{Cause, PartitionEnd};
use luc_runtime::brain::{Move, Story};
use serde::Serialize;

use super::api::View;

/// A partition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// Its name: the counter and the leader of its ballot.
    pub partition: String,
    /// The leader's site.
    pub site: String,
    /// The leader.
    pub leader: String,
    /// How long ago it began.
    pub began_secs_ago: f64,
    /// How long it lasted, if it has ended.
    pub lasted_secs: Option<f64>,
    /// Why it came to be.
    pub cause: &'static str,
    /// Who was in it at its greatest.
    pub members: Vec<String>,
    /// How often the solver was asked.
    pub questions: u32,
    /// The search steps it took in all.
    pub solver_steps: u64,
    /// What its plan would have moved.
    pub moves: Vec<ToldMove>,
    /// How it ended.
    pub end: &'static str,
    /// Whether nothing was moved because the scheduler runs dry.
    pub dry_run: bool,
}

/// A move of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToldMove {
    /// The server's id.
    pub server: String,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// Its memory.
    pub memory_mib: u64,
    /// Why.
    pub why: String,
}

/// The partitions of `view`, the newest first; only those that `about` names, if it names any.
pub fn told(view: &View, about: Option<&str>) -> anyhow::Result<Vec<Told>> {
    let names = names(view);
    let mut all = Vec::new();
    for report in &view.nodes {
        let Some(status) = &report.status else {
            continue;
        };
        for story in &status.stories {
            let teller = Teller {
                view,
                names: &names,
                site: &report.site,
            };
            all.push(teller.tell(story, status.now));
        }
    }
    if let Some(about) = about {
        all.retain(|told| speaks_of(told, about));
        if all.is_empty() {
            bail!(
                "nothing is known of '{about}': no plan moves a server with this name or id, and \
                 no partition's name begins so. `luc dvms explain` shows all that the nodes of \
                 the site remember, `--all` those of every site"
            );
        }
    }
    all.sort_by(|left, right| left.began_secs_ago.total_cmp(&right.began_secs_ago));
    Ok(all)
}

fn speaks_of(told: &Told, about: &str) -> bool {
    let mut moves = told.moves.iter();
    told.partition.starts_with(about)
        || moves.any(|one| one.server == about || one.name.as_deref() == Some(about))
}

/// The names of the nodes; with the site where more than one site is looked at.
fn names(view: &View) -> BTreeMap<PeerId, String> {
    let first = view.nodes.first().map(|report| &report.site);
    let single = view.nodes.iter().all(|report| Some(&report.site) == first);
    let reports = view.nodes.iter();
    reports
        .filter_map(|report| {
            let name = if single {
                report.node.clone()
            } else {
                format!("{}/{}", report.site, report.node)
            };
            Some((report.peer?, name))
        })
        .collect()
}

struct Teller<'v> {
    view: &'v View,
    names: &'v BTreeMap<PeerId, String>,
    site: &'v str,
}

impl Teller<'_> {
    fn name(&self, peer: PeerId) -> String {
        let known = self.names.get(&peer);
        known.cloned().unwrap_or_else(|| peer.to_string())
    }

    fn tell(&self, story: &Story, now: f64) -> Told {
        Told {
            partition: story.ballot.to_string(),
            site: self.site.to_owned(),
            leader: self.name(story.ballot.leader),
            began_secs_ago: now - story.began,
            lasted_secs: story.ended.map(|ended| ended - story.began),
            cause: match story.cause {
                Cause::Overload => "overload",
                Cause::Underload => "underload",
                Cause::Maintenance => "maintenance",
            },
            members: story.members.iter().map(|peer| self.name(*peer)).collect(),
            questions: story.questions,
            solver_steps: story.steps,
            moves: story.moves.iter().map(|one| self.tell_move(one)).collect(),
            end: ended(story, self.view.dry_run),
            dry_run: self.view.dry_run,
        }
    }

    fn tell_move(&self, one: &Move) -> ToldMove {
        ToldMove {
            server: one.vm.clone(),
            name: self.view.servers.get(&one.vm).cloned(),
            from: self.name(one.source),
            to: self.name(one.target),
            memory_mib: one.memory_mib,
            why: one.why.clone(),
        }
    }
}

fn ended(story: &Story, dry_run: bool) -> &'static str {
    match story.end {
        None => "it goes on",
        Some(PartitionEnd::Unsolved) if dry_run && !story.moves.is_empty() => {
            "its plan was not carried out (dry run)"
        }
        Some(PartitionEnd::Solved) => "its plan was carried out",
        Some(PartitionEnd::Stale) => "the need had gone by itself",
        Some(PartitionEnd::Unsolved) => "no solution: nobody who was asked had room",
        Some(PartitionEnd::Contended) => "other partitions grew in the way; it comes back",
        Some(PartitionEnd::Absorbed) => "another partition took it in",
        Some(PartitionEnd::Expired) => "its reservations ran out before the end",
    }
}

impl Told {
    /// In words.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} ago {} led partition {} because of {}\n",
            ago(self.began_secs_ago),
            self.leader,
            self.partition,
            self.cause,
        );
        let lasted = self
            .lasted_secs
            .map_or_else(String::new, |secs| format!(" after {secs:.2} s"));
        let _ = writeln!(
            text,
            "  {} hosts: {}\n  solver: asked {} times, {} search steps\n  end{lasted}: {}",
            self.members.len(),
            self.members.join(", "),
            self.questions,
            self.solver_steps,
            self.end,
        );
        for (number, one) in self.moves.iter().enumerate() {
            let server = match &one.name {
                Some(name) => format!("{name} ({})", one.server),
                None => one.server.clone(),
            };
            let _ = writeln!(
                text,
                "  move {number}: {server} from {} to {}, {} MiB\n    because {}",
                one.from, one.to, one.memory_mib, one.why,
            );
        }
        if self.dry_run && !self.moves.is_empty() {
            text.push_str("  dry run: nothing was moved\n");
        }
        text
    }
}

/// A span as people say it.
pub(super) fn ago(secs: f64) -> String {
    match secs {
        secs if secs < 120.0 => format!("{secs:.0} s"),
        secs if secs < 7200.0 => format!("{:.0} min", secs / 60.0),
        secs => format!("{:.0} h", secs / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brains::port::Report;
    use luc_core::SitePrefix;
    use luc_dvms::ballot::Ballot;
    use luc_overlay::Coordinate;
    use luc_runtime::brain::Status;

    const ID: &str = "11111111-2222-8333-8444-555555555555";

    fn peer(node: u64) -> PeerId {
        PeerId::new(SitePrefix::of_key(b"a"), node)
    }

    fn story() -> Story {
        let leader = peer(1);
        Story {
            ballot: Ballot { counter: 3, leader },
            began: 10.0,
            cause: Cause::Overload,
            members: vec![peer(1), peer(2)],
            questions: 1,
            steps: 40,
            moves: vec![Move {
                vm: ID.to_owned(),
                source: peer(1),
                target: peer(2),
                memory_mib: 512,
                why: "its host is asked for 1.2 cores and has 1.0".to_owned(),
                ordered: true,
            }],
            ended: Some(10.5),
            end: Some(PartitionEnd::Unsolved),
        }
    }

    fn view() -> View {
        let report = |node: u64, stories: Vec<Story>| Report {
            site: "a".to_owned(),
            node: format!("node-{node}"),
            peer: Some(peer(node)),
            status: Some(Status {
                me: peer(node),
                coordinate: Coordinate::origin(0.0, 1.5),
                samples: 0,
                is_delegate: false,
                is_free: true,
                members: Vec::new(),
                gone: Vec::new(),
                load: None,
                now: 22.0,
                stories,
                dropped: 0,
            }),
            error: None,
        };
        View {
            dry_run: true,
            nodes: vec![report(1, vec![story()]), report(2, Vec::new())],
            servers: BTreeMap::from([(ID.to_owned(), "web-1".to_owned())]),
        }
    }

    #[test]
    fn a_story_is_told_with_names_reasons_and_that_nothing_was_moved() {
        let told = told(&view(), None).expect("there is one");
        let text = told[0].text();
        for part in [
            "12 s ago node-1 led partition 3@",
            "because of overload",
            "2 hosts: node-1, node-2",
            "asked 1 times, 40 search steps",
            "after 0.50 s",
            "web-1 (11111111-2222-8333-8444-555555555555) from node-1 to node-2, 512 MiB",
            "because its host is asked for 1.2 cores and has 1.0",
            "dry run: nothing was moved",
        ] {
            assert!(text.contains(part), "{part:?} is missing in:\n{text}");
        }
    }

    #[test]
    fn a_server_is_found_by_name_or_id_and_a_partition_by_its_beginning() {
        let view = view();
        for about in ["web-1", ID, "3@"] {
            assert_eq!(told(&view, Some(about)).expect(about).len(), 1);
        }
        let error = told(&view, Some("web-2")).expect_err("nobody knows it");
        assert!(error.to_string().contains("'web-2'"), "{error}");
    }
}
