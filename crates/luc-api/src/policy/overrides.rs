//! An operator's `policy.yaml` over the defaults, and everything that can be wrong with it.
//!
//! All faults of a file are found and told together, each with its line and rule; a file with a
//! fault changes nothing.

use std::collections::BTreeMap;

use super::Policy;
use super::expression::Check;
use super::parse::{parse, parse_lists};
use super::problem::{PolicyError, Problem, Reason};
use super::rules::{FALLBACK, Fault};
use super::yaml::{self, Content, Node};
use crate::service::Service;

/// One rule of the file.
struct Entry {
    line: usize,
    service: Option<Service>,
    name: String,
    check: Check,
}

/// Puts the rules of `text` over those of `policy`, or tells all that is wrong with them.
pub(super) fn apply(policy: &mut Policy, text: &str) -> Result<(), PolicyError> {
    let document = yaml::read(text).map_err(|problem| PolicyError {
        problems: vec![problem],
    })?;
    let mut file = File::default();
    match document {
        None
        | Some(Node {
            content: Content::Nothing,
            ..
        }) => {}
        Some(Node {
            content: Content::Mapping(pairs),
            ..
        }) => file.mapping(pairs, None),
        Some(Node { line, .. }) => file.refuse(line, None, Reason::NotAMapping),
    }
    let mut changed = policy.clone();
    file.distribute(&mut changed);
    file.check_references(&changed);
    if file.problems.is_empty() {
        *policy = changed;
        return Ok(());
    }
    file.problems.sort_by_key(|problem| problem.line);
    Err(PolicyError {
        problems: file.problems,
    })
}

/// The file while it is read.
#[derive(Default)]
struct File {
    entries: Vec<Entry>,
    /// The line on which each rule of each service was given.
    lines: BTreeMap<(Service, String), usize>,
    problems: Vec<Problem>,
}

impl File {
    fn refuse(&mut self, line: usize, rule: Option<&str>, reason: Reason) {
        self.problems.push(Problem {
            line,
            rule: rule.map(str::to_owned),
            reason,
        });
    }

    fn mapping(&mut self, pairs: Vec<(Node, Node)>, service: Option<Service>) {
        for (key, value) in pairs {
            let Content::Text(name) = key.content else {
                self.refuse(key.line, None, Reason::NotAName);
                continue;
            };
            match value.content {
                Content::Mapping(inner) if service.is_none() => match section(&name) {
                    Some(named) => self.mapping(inner, Some(named)),
                    None => self.refuse(key.line, None, Reason::UnknownSection { name }),
                },
                content => self.entry(key.line, service, name, content),
            }
        }
    }

    fn entry(&mut self, line: usize, service: Option<Service>, name: String, content: Content) {
        match check_of(content) {
            Ok(check) => self.entries.push(Entry {
                line,
                service,
                name,
                check,
            }),
            Err(reason) => self.refuse(line, Some(&name), reason),
        }
    }

    /// Gives each rule to its service; a rule that is no service's goes wherever it is referred to.
    fn distribute(&mut self, policy: &mut Policy) {
        let mut own = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            match owners(policy, &entry).as_slice() {
                [service] => self.set(policy, *service, &entry),
                [] => own.push(entry),
                several => {
                    let services = several.iter().map(|one| word(*one)).collect::<Vec<_>>();
                    let services = services.join(" and ");
                    self.refuse(
                        entry.line,
                        Some(&entry.name),
                        Reason::SeveralServices { services },
                    );
                }
            }
        }
        let mut used = vec![false; own.len()];
        for service in Service::ALL {
            while let Some(at) = own.iter().position(|entry| {
                entry.service.is_none_or(|named| named == service)
                    && !self.lines.contains_key(&(service, entry.name.clone()))
                    && is_referred_to(policy, service, &entry.name)
            }) {
                used[at] = true;
                self.set(policy, service, &own[at]);
            }
        }
        for (entry, used) in own.iter().zip(used) {
            let first = own.iter().find(|other| {
                other.line < entry.line
                    && (&other.name, other.service) == (&entry.name, entry.service)
            });
            if let Some(first) = first {
                self.refuse(
                    entry.line,
                    Some(&entry.name),
                    Reason::Twice { line: first.line },
                );
            } else if !used {
                let nearest = nearest(policy, &Service::ALL, &entry.name);
                self.refuse(
                    entry.line,
                    Some(&entry.name),
                    Reason::UnknownRule { nearest },
                );
            }
        }
    }

    fn set(&mut self, policy: &mut Policy, service: Service, entry: &Entry) {
        let key = (service, entry.name.clone());
        if let Some(line) = self.lines.get(&key) {
            let line = *line;
            self.refuse(entry.line, Some(&entry.name), Reason::Twice { line });
            return;
        }
        self.lines.insert(key, entry.line);
        policy
            .of_mut(service)
            .override_check(&entry.name, entry.check.clone());
    }

    fn check_references(&mut self, policy: &Policy) {
        for service in Service::ALL {
            for fault in policy.of(service).faults() {
                let (rule, reason) = match fault {
                    Fault::Undefined { rule, name } => {
                        // A broken definition of that name is told where it stands.
                        if self
                            .problems
                            .iter()
                            .any(|one| one.rule.as_ref() == Some(&name))
                        {
                            continue;
                        }
                        let nearest = nearest(policy, &[service], &name);
                        (rule, Reason::Undefined { name, nearest })
                    }
                    Fault::Ring { rules } => {
                        let given = rules.iter().find(|rule| self.line(service, rule).is_some());
                        let rule = given.unwrap_or(&rules[0]).clone();
                        (rule, Reason::Ring { rules })
                    }
                    Fault::TooLong { rule } => (rule.clone(), Reason::TooLong { rule }),
                };
                let line = self.line(service, &rule).unwrap_or(1);
                self.refuse(line, Some(&rule), reason);
            }
        }
    }

    fn line(&self, service: Service, rule: &str) -> Option<usize> {
        self.lines.get(&(service, rule.to_owned())).copied()
    }
}

/// The services that a rule of the file belongs to.
fn owners(policy: &Policy, entry: &Entry) -> Vec<Service> {
    let has = |service: &Service| policy.rule(*service, &entry.name).is_some();
    match entry.service {
        // Every service may have a fallback, whether upstream gives it one or not.
        Some(service) if has(&service) || entry.name == FALLBACK => vec![service],
        Some(_) => Vec::new(),
        None => Service::ALL.into_iter().filter(has).collect(),
    }
}

fn is_referred_to(policy: &Policy, service: Service, name: &str) -> bool {
    policy
        .rules(service)
        .iter()
        .any(|rule| rule.check.references().contains(&name))
}

fn check_of(content: Content) -> Result<Check, Reason> {
    match content {
        Content::Text(text) => Ok(parse(&text)?),
        Content::List(items) => {
            let lists = items
                .into_iter()
                .map(inner_list)
                .collect::<Option<Vec<_>>>();
            Ok(parse_lists(&lists.ok_or(Reason::NotACheck)?)?)
        }
        Content::Nothing => Err(Reason::NoValue),
        Content::Mapping(_) => Err(Reason::NotACheck),
    }
}

/// A list inside a list of lists; bare text stands for a list of one.
fn inner_list(node: Node) -> Option<Vec<String>> {
    let text = |node: Node| match node.content {
        Content::Text(text) => Some(text),
        _ => None,
    };
    match node.content {
        Content::List(items) => items.into_iter().map(text).collect(),
        _ => text(node).map(|text| vec![text]),
    }
}

fn section(name: &str) -> Option<Service> {
    Service::ALL
        .into_iter()
        .find(|service| word(*service) == name)
}

/// The word for a service in the file.
fn word(service: Service) -> &'static str {
    service.facts().catalog_type
}

/// The existing name that is most like `name`, if one is much like it.
fn nearest(policy: &Policy, services: &[Service], name: &str) -> Option<String> {
    let known = services.iter().flat_map(|service| policy.rules(*service));
    known
        .filter(|rule| &*rule.name != name)
        .map(|rule| (strsim::levenshtein(&rule.name, name), &rule.name))
        .filter(|(distance, _)| *distance <= name.len().div_ceil(4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_string())
}
