//! Golden texts of refused scenarios, and what the defaults are.

use luc_core::units::MemoryMib;

use super::*;

fn refused(text: &str) -> String {
    Experiment::parse("cloud.toml", text)
        .expect_err("it must be refused")
        .to_string()
}

#[test]
fn a_name_is_all_that_a_scenario_needs() {
    let experiment = Experiment::parse("a.toml", "name = \"a\"").expect("it is right");
    assert_eq!(experiment.duration, Duration::from_secs(1800));
    assert_eq!(experiment.topology.nodes(), 128);
    assert_eq!(experiment.topology.node.memory, MemoryMib(32_768));
    assert_eq!(experiment.vms.count.total(128), 1280);
    assert!(matches!(experiment.algorithm, Algorithm::Star(_)));
}

#[test]
fn what_is_written_is_read_back() {
    let text = experiment_with_everything()
        .to_toml()
        .expect("it can be written");
    let back = Experiment::parse("all.toml", &text).expect("it can be read");
    assert_eq!(back, experiment_with_everything(), "{text}");
}

pub(super) fn experiment_with_everything() -> Experiment {
    let text = r#"
name = "all"
seed = 7
membership = "swim"
[topology]
sites = 4
nodes_per_site = 10
rtt = "grid5000"
[vms.count]
per_site = [126, 69, 69, 69]
[[load.phases]]
mean = "70 %"
deviation = "30 %"
[algorithm.star]
energy = true
broken = "lease"
[[faults]]
at = "60 s"
lasts = "30 s"
what = { crash = { nodes = [3] } }
[[faults]]
at = "90 s"
lasts = "10 s"
what = { split = { sites = [0, 1] } }
"#;
    Experiment::parse("all.toml", text).expect("it is right")
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_place() {
    assert_eq!(
        refused("name = \"a\"\nseed = = 3\n"),
        "cloud.toml:2:8: extra `=`, expected nothing"
    );
}

#[test]
fn an_unknown_field_is_refused_with_the_known_ones() {
    assert_eq!(
        refused("name = \"a\"\n[topology]\nsite = 4\n"),
        "cloud.toml:3:1: topology.site: unknown field `site`, expected one of `sites`, \
         `nodes_per_site`, `node`, `rtt`"
    );
}

#[test]
fn a_quantity_without_its_unit_is_refused_with_an_example() {
    assert_eq!(
        refused("name = \"a\"\nduration = 1800\n"),
        "cloud.toml:2:12: duration: invalid type: integer `1800`, expected a duration \
         with its unit, like \"30 s\""
    );
    assert_eq!(
        refused("name = \"a\"\n[topology.node]\nmemory = \"32 s\"\n"),
        "cloud.toml:3:10: topology.node.memory: `32 s` is not an amount of memory: `s` \
         is not one of its units (write it like \"32 GiB\"; units: TiB, GiB, MiB, B)"
    );
}

#[test]
fn more_memory_than_hosts_have_is_refused_with_how_much_fits() {
    assert_eq!(
        refused("name = \"a\"\n[vms]\nmemory = \"8 GiB\"\n"),
        "cloud.toml:3:10: vms.memory: 10 machines of 8192 MiB need 81920 MiB of memory \
         but a node has 32768 MiB; at most 4 fit: take fewer or smaller machines, or \
         greater nodes"
    );
}

#[test]
fn a_table_of_round_trips_must_be_square_symmetric_and_of_the_right_size() {
    let head = "name = \"a\"\n[topology]\nsites = 2\n[topology.rtt]\n";
    let matrix = |rows: &str| refused(&format!("{head}matrix = {rows}\n"));
    assert_eq!(
        matrix(r#"[["1 ms", "2 ms"], ["2 ms"]]"#),
        "cloud.toml:5:1: topology.rtt.matrix: row 1 has 1 entries but there are 2 rows; \
         the table must be square"
    );
    assert_eq!(
        matrix(r#"[["1 ms", "2 ms"], ["3 ms", "1 ms"]]"#),
        "cloud.toml:5:1: topology.rtt.matrix: rows 1 and 0 disagree on their round \
         trip; the table must be symmetric"
    );
    assert_eq!(
        matrix(r#"[["1 ms"]]"#),
        "cloud.toml:5:1: topology.rtt.matrix: it is for 1 sites but topology.sites is \
         2; make them agree"
    );
    assert_eq!(
        matrix(r#"[["1 ms", "-2 ms"], ["-2 ms", "1 ms"]]"#),
        "cloud.toml:5:20: topology.rtt.matrix.0.1: `-2 ms` is not a duration: it is \
         negative (write it like \"30 s\"; units: d, h, min, s, ms, us, µs, ns)"
    );
}

#[test]
fn an_empty_cloud_is_refused() {
    assert_eq!(
        refused("name = \"a\"\n[topology]\nsites = 0\n"),
        "cloud.toml:3:9: topology.sites: there must be at least one site"
    );
    assert_eq!(
        refused("name = \"a\"\n[topology]\nnodes_per_site = -1\n"),
        "cloud.toml:3:18: topology.nodes_per_site: invalid value: integer `-1`, \
         expected u32"
    );
    assert_eq!(
        refused("seed = 1\n"),
        "cloud.toml: name: the scenario has no name; give it one: name = \"my-cloud\""
    );
}

#[test]
fn a_fault_at_a_node_that_is_not_there_is_refused() {
    let fault = "name = \"a\"\n[[faults]]\nat = \"1 s\"\nlasts = \"1 s\"\n";
    assert_eq!(
        refused(&format!(
            "{fault}what = {{ crash = {{ nodes = [128] }} }}\n"
        )),
        "cloud.toml:5:1: faults.0.what: there is no node 128; they are counted from 0 \
         to 127"
    );
    assert_eq!(
        refused(&format!("{fault}what = {{ melt = {{ nodes = [1] }} }}\n")),
        "cloud.toml:5:10: faults.0.what.melt: unknown variant `melt`, expected one of \
         `crash`, `pause`, `slow`, `skew`, `split`, `maintenance`, `loss`, `delay`"
    );
}

#[test]
fn sleep_without_membership_is_refused() {
    let text = "name = \"x\"\n[algorithm.star]\nenergy = true\n";
    let error = refused(text);
    assert!(error.contains(":3:"), "{error}");
    assert!(error.contains("membership = \"swim\""), "{error}");
}

#[test]
fn an_algorithm_with_a_misspelt_parameter_is_refused() {
    assert_eq!(
        refused("name = \"a\"\n[algorithm.star]\nfirst_grup = 3\n"),
        "cloud.toml:3:1: algorithm.star.first_grup: unknown field `first_grup`, \
         expected one of `first_group`, `next_group`, `cap`, `cap_max`, \
         `energy`, `solver_steps`, `broken`"
    );
    assert_eq!(
        refused("name = \"a\"\nalgorithm = \"best\"\n"),
        "cloud.toml:2:13: algorithm: unknown variant `best`, expected one of `none`, \
         `star`, `relay`, `centralised`, `hierarchical`, `entropy`, `ffd`"
    );
    assert_eq!(
        refused("name = \"a\"\n[algorithm.star]\nfirst_group = 1\n"),
        "cloud.toml:3:15: algorithm.star.first_group: the first group is the initiator \
         and at least one more: 2 or more"
    );
}

/// Where the fields are listed for people.
const REFERENCE: &str = include_str!("../../../../docs/simulator.md");

/// The names of all fields in `value`, dots between their parts, with the values of simple ones.
fn fields(prefix: &str, value: &toml::Value, all: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            for (name, inner) in table {
                let dot = if prefix.is_empty() { "" } else { "." };
                fields(&format!("{prefix}{dot}{name}"), inner, all);
            }
        }
        toml::Value::Array(items) if items.iter().all(toml::Value::is_table) => {
            for item in items {
                fields(&format!("{prefix}[]"), item, all);
            }
        }
        other => all.push((prefix.to_owned(), other.to_string())),
    }
}

/// Every algorithm, every kind of round trips, every count.
fn variants() -> Vec<Experiment> {
    let mut all = vec![experiment_with_everything(), Experiment::default()];
    let mut with = |change: &dyn Fn(&mut Experiment)| {
        let mut experiment = experiment_with_everything();
        change(&mut experiment);
        all.push(experiment);
    };
    with(&|one| one.algorithm = Algorithm::Relay(Relay::default()));
    with(&|one| one.algorithm = Algorithm::Centralised(Central::default()));
    with(&|one| one.algorithm = Algorithm::Hierarchical(Hierarchical::default()));
    with(&|one| one.topology.rtt = Distances::Synthetic(Synthetic::default()));
    with(&|one| one.topology.rtt = Distances::Matrix(vec![vec![Rtt::default()]]));
    with(&|one| one.vms.count = Count::Total(7));
    all
}

#[test]
fn every_field_stands_in_the_reference() {
    for experiment in variants() {
        let text = experiment.to_toml().expect("it can be written");
        let value: toml::Value = toml::from_str(&text).expect("it can be read");
        let mut all = Vec::new();
        fields("", &value, &mut all);
        for (field, _) in all {
            // What is inside a kind of fault stands in the row of its kind.
            let row: Vec<&str> = field.split('.').take(3).collect();
            let name = if field.starts_with("faults") {
                row.join(".")
            } else {
                field.clone()
            };
            assert!(
                REFERENCE.contains(&format!("`{name}")),
                "{name} is not documented"
            );
        }
    }
}

#[test]
fn the_defaults_in_the_reference_are_the_defaults() {
    let text = Experiment::default().to_toml().expect("it can be written");
    let value: toml::Value = toml::from_str(&text).expect("it can be read");
    let mut all = Vec::new();
    fields("", &value, &mut all);
    let mut compared = 0;
    for (field, default) in all {
        let row = REFERENCE
            .lines()
            .find(|line| line.starts_with(&format!("| `{field}` |")))
            .unwrap_or_else(|| panic!("{field} has no row"));
        let spoken = ["| – |", "| the product's |", "[\"10 %\", …"];
        if spoken.iter().any(|words| row.contains(words)) {
            continue;
        }
        assert!(
            row.contains(&format!("| `{default}` |")),
            "{row} but it is {default}"
        );
        compared += 1;
    }
    assert!(compared > 25, "only {compared} defaults were compared");
}

#[test]
fn the_examples_are_right() {
    let examples = [
        (
            "cluster",
            include_str!("../../../../scenarios/cluster.toml"),
        ),
        (
            "four-sites",
            include_str!("../../../../scenarios/four-sites.toml"),
        ),
        (
            "energy-day",
            include_str!("../../../../scenarios/energy-day.toml"),
        ),
        (
            "bad-day",
            include_str!("../../../../scenarios/bad-day.toml"),
        ),
        ("edge", include_str!("../../../../scenarios/edge.toml")),
    ];
    for (name, text) in examples {
        let experiment = Experiment::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
        let trace = experiment.trace().expect("its trace can be drawn");
        assert!(!trace.loads.is_empty());
        experiment.schedule();
    }
}

#[test]
fn a_short_bad_day_runs_and_gives_the_same_figures_again() {
    let text = include_str!("../../../../scenarios/bad-day.toml");
    let mut experiment = Experiment::parse("bad-day", text).expect("it is right");
    experiment.duration = Duration::from_secs(150);
    experiment.faults.truncate(2);
    let run = || {
        let outcome = experiment.run(None, Box::new(crate::log::NoSink));
        outcome.expect("it runs").summary
    };
    let first = run();
    assert!(
        first.violations.count > 0 && first.moves.moved > 0,
        "{first:?}"
    );
    assert_eq!(first, run());
}

#[test]
fn a_trace_of_another_cloud_is_refused() {
    let small = Experiment::parse("a", "name = \"a\"\n[topology]\nsites = 1\n");
    let trace = small
        .expect("it is right")
        .trace()
        .expect("it can be drawn");
    let trace = std::sync::Arc::new(trace);
    let error = Experiment::parse("b", "name = \"b\"")
        .expect("it is right")
        .run(Some(trace), Box::new(crate::log::NoSink))
        .expect_err("it must be refused");
    assert_eq!(
        error.to_string(),
        "the trace has sites of [32] nodes but the scenario has [32, 32, 32, 32]"
    );
}

#[test]
fn the_sizes_of_partitions_are_those_of_the_metrics() {
    let text = "name = \"a\"\nduration = \"900 s\"\n[load]\nstart = \"drawn\"\n";
    let experiment = Experiment::parse("a.toml", text).expect("it is right");
    let outcome = experiment
        .run(None, Box::new(crate::log::NoSink))
        .expect("it runs");
    let partitions = &outcome.summary.partitions;
    let all: u64 = outcome.sizes.values().sum();
    assert!(
        all > 0 && all == partitions.solved,
        "{all} of {}",
        partitions.solved
    );
    let greatest = outcome.sizes.keys().max().copied().unwrap_or(0);
    assert_eq!(greatest, partitions.size.max as usize);
}
