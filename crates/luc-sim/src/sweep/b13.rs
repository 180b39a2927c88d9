//! B13: network coordinates, and how well the spiral finds the true nearest.

use super::job::{Coordinates, Job, Role, Work};
use super::judge::{Rule, Side, Target};
use super::{Benchmark, Published, Scale, Table, measure};

const ROW: &str = "Vivaldi, 8-D + height (ours)";
const SPIRAL: &str = "spiral";
const FOUR_SITES: &str = "4 × 10 sites";
const FLAT: &str = "1740 synthetic hosts, flat";
const POOLS: &str = "1740 synthetic hosts, two pools";

fn coordinates(scale: Scale) -> Vec<(&'static str, Coordinates)> {
    let nodes = if scale.quick { 128 } else { 1740 };
    vec![
        (FOUR_SITES, Coordinates::FourSites),
        (FLAT, Coordinates::Synthetic { nodes }),
        (POOLS, Coordinates::Pools { nodes }),
    ]
}

fn recall(scale: Scale) -> Vec<(u32, f64)> {
    let mut all = vec![(40, 0.95), (1000, 0.9), (10_000, 0.85)];
    all.retain(|(nodes, _)| *nodes <= if scale.quick { 40 } else { scale.nodes_max });
    all
}

pub(super) fn benchmark(scale: Scale) -> Benchmark {
    let job = |row: &str, column: String, work| Job {
        row: row.to_owned(),
        column,
        role: Role::Ours,
        work,
        seeds: scale.seeds,
    };
    let mut jobs: Vec<Job> = coordinates(scale)
        .into_iter()
        .map(|(column, kind)| job(ROW, column.to_owned(), Work::Coordinates(kind)))
        .collect();
    let searches = recall(scale);
    jobs.extend(
        searches
            .iter()
            .map(|(nodes, _)| job(SPIRAL, nodes.to_string(), Work::Recall { nodes: *nodes })),
    );
    Benchmark {
        id: "B13",
        title: "coordinates, and the spiral's recall",
        protocol: protocol(),
        jobs,
        tables: tables(scale),
        plots: Vec::new(),
        targets: targets(scale),
    }
}

fn protocol() -> Vec<String> {
    [
        "Round trips: the published 4 × 10 sites; synthetic hosts (plane + access heights + \
         log-normal noise σ 0.15 + 5 % triangle violations). Flat: every node may probe any other. \
         Two pools: as shipped, a node probes its own site and only delegates probe across; the \
         error is over random pairs of different sites. The Dabek row is two dimensions and a \
         height on the same matrix, fed by the same probes.",
        "Recall: the share of the 16 true nearest nodes among the first 16 that the spiral yields, \
         and the messages it takes for each; through SWIM and Vivaldi as shipped, 120 s after the \
         start with coordinates settled by 400 probes per node and empty views, 100 askers. 40 \
         nodes: the published sites; more: sites of ten on a plane of 40 ms with access links of \
         1 ms, without noise.",
        "Published (Dabek et al. 2004): median relative error 11 % at 1 740 real hosts.",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn tables(scale: Scale) -> Vec<Table> {
    let columns: Vec<String> = coordinates(scale)
        .iter()
        .map(|(c, _)| (*c).to_owned())
        .collect();
    let table = |title: &str, measure, factor, digits, published| Table {
        title: title.to_owned(),
        measure,
        factor,
        digits,
        columns: columns.clone(),
        rows: vec![ROW.to_owned()],
        published,
        ratios: Vec::new(),
    };
    let dabek = Published {
        label: "Vivaldi, 2-D + height, 1 740 real hosts",
        source: "Dabek 2004",
        values: vec![None, Some(11.0), None],
    };
    let mut all = vec![
        table(
            "median relative error, %",
            measure::COORDINATE_ERROR,
            100.0,
            2,
            vec![dabek],
        ),
        table(
            "median relative error of 2-D + height (Dabek) on the same matrix, %",
            measure::COORDINATE_ERROR_DABEK,
            100.0,
            2,
            Vec::new(),
        ),
        table(
            "probes per node to usable",
            measure::COORDINATE_PROBES,
            1.0,
            1,
            Vec::new(),
        ),
        table(
            "probes per node to recover from a latency step",
            measure::COORDINATE_RECOVERY,
            1.0,
            1,
            Vec::new(),
        ),
    ];
    all.extend(searches(scale));
    all
}

fn searches(scale: Scale) -> Vec<Table> {
    let columns: Vec<String> = recall(scale).iter().map(|(n, _)| n.to_string()).collect();
    let search = |title: &str, measure| Table {
        title: title.to_owned(),
        measure,
        factor: 1.0,
        digits: 3,
        columns: columns.clone(),
        rows: vec![SPIRAL.to_owned()],
        published: Vec::new(),
        ratios: Vec::new(),
    };
    vec![
        search(
            "recall@16, after two searches of each node",
            measure::RECALL,
        ),
        search(
            "messages per yielded node, likewise",
            measure::SEARCH_MESSAGES,
        ),
        search("recall@16, before anybody searched", measure::RECALL_COLD),
        search(
            "messages per yielded node, likewise",
            measure::SEARCH_MESSAGES_COLD,
        ),
    ]
}

fn targets(scale: Scale) -> Vec<Target> {
    let columns: Vec<String> = coordinates(scale)
        .iter()
        .map(|(c, _)| (*c).to_owned())
        .collect();
    let mut targets = vec![
        Target {
            text: "error ≤ 0.75 × Dabek's 2-D + height on the same matrix".to_owned(),
            rule: Rule::Share {
                row: ROW.to_owned(),
                columns: columns.clone(),
                measure: measure::COORDINATE_ERROR,
                by: measure::COORDINATE_ERROR_DABEK,
                side: Side::AtMost,
                limit: 0.75,
            },
        },
        Target {
            text: "< 10 probes per node to usable".to_owned(),
            rule: Rule::Bound {
                row: ROW.to_owned(),
                columns: columns.clone(),
                measure: measure::COORDINATE_PROBES,
                side: Side::AtMost,
                limit: 9.999,
            },
        },
        Target {
            text: "recovers from a latency step".to_owned(),
            rule: Rule::Bound {
                row: ROW.to_owned(),
                columns,
                measure: measure::COORDINATE_RECOVERY,
                side: Side::AtMost,
                limit: 1000.0,
            },
        },
    ];
    for (nodes, limit) in recall(scale) {
        targets.push(Target {
            text: format!("recall@16 ≥ {limit} at {nodes} nodes"),
            rule: Rule::Bound {
                row: SPIRAL.to_owned(),
                columns: vec![nodes.to_string()],
                measure: measure::RECALL,
                side: Side::AtLeast,
                limit,
            },
        });
    }
    targets.push(Target {
        text: "≤ 2 messages per yielded node".to_owned(),
        rule: Rule::Bound {
            row: SPIRAL.to_owned(),
            columns: recall(scale).iter().map(|(n, _)| n.to_string()).collect(),
            measure: measure::SEARCH_MESSAGES,
            side: Side::AtMost,
            limit: 2.0,
        },
    });
    targets
}
