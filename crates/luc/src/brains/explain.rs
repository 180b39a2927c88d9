//! The stories of partitions as people read them: when, who led, why, who took part, what the
//! solver found, and each move with its reason.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;
use luc_core::PeerId;
use luc_dvms::event::{Cause, PartitionEnd};
use luc_runtime::brain::{Move, PassedBy, Story};
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
    /// Hosts that had room and were passed by because of rules.
    pub passed: Vec<ToldPassed>,
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

/// A host that had room for a server and was passed by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToldPassed {
    /// The server's id.
    pub server: String,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// The host.
    pub host: String,
    /// The rule.
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
                "nothing is known of '{about}': no plan moves a server with this name or id or \
                 passes a host by for it, and no partition's name begins so. `luc dvms explain` \
                 shows all that the nodes of the site remember, `--all` those of every site"
            );
        }
    }
    all.sort_by(|left, right| left.began_secs_ago.total_cmp(&right.began_secs_ago));
    Ok(all)
}

fn speaks_of(told: &Told, about: &str) -> bool {
    let is = |server: &str, name: Option<&str>| server == about || name == Some(about);
    let (mut moves, mut passed) = (told.moves.iter(), told.passed.iter());
    told.partition.starts_with(about)
        || moves.any(|one| is(&one.server, one.name.as_deref()))
        || passed.any(|one| is(&one.server, one.name.as_deref()))
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
            passed: { story.passed.iter() }
                .map(|one| self.tell_passed(one))
                .collect(),
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

    fn tell_passed(&self, one: &PassedBy) -> ToldPassed {
        let servers = &self.view.servers;
        let mut why = one.why.clone();
        if let Some((id, name)) = one.mate.as_ref().and_then(|id| servers.get_key_value(id)) {
            why = why.replace(id.as_str(), &format!("{name} ({id})"));
        }
        let labels = &self.view.labels;
        if let Some((id, text)) = one.label.as_ref().and_then(|id| labels.get_key_value(id)) {
            why = why.replace(id.as_str(), text);
        }
        ToldPassed {
            server: one.vm.clone(),
            name: servers.get(&one.vm).cloned(),
            host: self.name(one.host),
            why,
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
            let server = full_name(&one.server, one.name.as_ref());
            let _ = writeln!(
                text,
                "  move {number}: {server} from {} to {}, {} MiB\n    because {}",
                one.from, one.to, one.memory_mib, one.why,
            );
        }
        for same in self
            .passed
            .chunk_by(|one, next| (&one.server, &one.why) == (&next.server, &next.why))
        {
            let hosts: Vec<&str> = same.iter().map(|one| one.host.as_str()).collect();
            let _ = writeln!(
                text,
                "  passed by for {}: {}\n    because {}",
                full_name(&same[0].server, same[0].name.as_ref()),
                hosts.join(", "),
                same[0].why,
            );
        }
        if self.dry_run && !self.moves.is_empty() {
            text.push_str("  dry run: nothing was moved\n");
        }
        text
    }
}

fn full_name(server: &str, name: Option<&String>) -> String {
    name.map_or_else(|| server.to_owned(), |name| format!("{name} ({server})"))
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

    const MATE: &str = "66666666-2222-8333-8444-555555555555";

    fn lacking(host: u64) -> PassedBy {
        PassedBy {
            vm: MATE.to_owned(),
            host: peer(host),
            mate: None,
            label: Some("00ff".to_owned()),
            why: "it asks for what the host has not got: 00ff".to_owned(),
        }
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
            passed: vec![
                PassedBy {
                    vm: ID.to_owned(),
                    host: peer(3),
                    mate: Some(MATE.to_owned()),
                    label: None,
                    why: format!("its server group keeps it apart from {MATE}, which is there"),
                },
                lacking(4),
                lacking(5),
            ],
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
            nodes: vec![
                report(1, vec![story()]),
                report(2, Vec::new()),
                report(3, Vec::new()),
            ],
            servers: BTreeMap::from([ID, MATE].map(|id| {
                let name = if id == ID { "web-1" } else { "web-0" };
                (id.to_owned(), name.to_owned())
            })),
            labels: BTreeMap::from([("00ff".to_owned(), "zone:lyon".to_owned())]),
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
    fn hosts_that_were_passed_by_are_told_with_the_rule_in_words() {
        let told = told(&view(), Some("web-0")).expect("it is named");
        let text = told[0].text();
        let apart = format!("its server group keeps it apart from web-0 ({MATE}), which is there");
        let lists = format!("passed by for web-0 ({MATE}): {}, {}\n", peer(4), peer(5));
        for part in [
            format!("passed by for web-1 ({ID}): node-3\n    because {apart}").as_str(),
            lists.as_str(),
            "because it asks for what the host has not got: zone:lyon",
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
