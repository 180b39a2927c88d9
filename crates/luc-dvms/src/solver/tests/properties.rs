//! What holds of every group: plans pass the independent check, small groups are solved as well as
//! by trying everything, and the same question has the same answer.

use proptest::prelude::*;

use super::*;
use crate::host::{GroupId, GroupPolicy};
use crate::solver::budget::Budget;
use crate::solver::model::Model;
use crate::solver::repair::Repair;
use crate::solver::shed;

fn machine(number: u128) -> impl Strategy<Value = Vm> {
    let rules = prop_oneof![
        6 => Just(None),
        1 => (0..2_u8, 0..4_u8).prop_map(|(group, policy)| {
            let policy = match policy {
                0 => GroupPolicy::Affinity,
                1 => GroupPolicy::SoftAffinity,
                2 => GroupPolicy::SoftAntiAffinity,
                _ => GroupPolicy::AntiAffinity,
            };
            // A group has one policy.
            let group = GroupId(Uuid::from_bytes([group * 4 + policy as u8; 16]));
            Some(Arc::new(Rules { groups: vec![(group, policy)], ..Rules::default() }))
        }),
        1 => (1..4_u64).prop_map(|only| {
            Some(Arc::new(Rules { hosts: vec![peer(only)], ..Rules::default() }))
        }),
    ];
    let amounts = (
        0..20_u32,
        0..12_u32,
        1..4_u64,
        0..9_u16,
        prop::bool::weighted(0.1),
    );
    (amounts, rules).prop_map(move |((demand, usual, memory, dirty, cooling), rules)| Vm {
        demand: Cpu(demand * 10),
        usual: Cpu(usual * 10),
        memory: MemoryMib(memory * 512),
        dirty_permille: dirty * 100,
        cool_down: Duration::from_secs(u64::from(cooling)),
        rules,
        ..vm(number, 0)
    })
}

/// Groups of `hosts` hosts, tight in processor and memory, with up to `machines` machines.
fn groups(hosts: usize, machines: usize) -> impl Strategy<Value = Vec<Host>> {
    let places = prop::collection::vec(0..hosts, 0..=machines);
    let amounts = prop::collection::vec((10..35_u32, 2..7_u64, 0..12_u8), hosts);
    (places, amounts).prop_flat_map(move |(places, amounts)| {
        let machines: Vec<_> = (0..places.len())
            .map(|index| machine(index as u128))
            .collect();
        (machines, Just(places), Just(amounts)).prop_map(|(machines, places, amounts)| {
            let mut hosts: Vec<Host> = (1..=amounts.len() as u64)
                .map(|number| host(number, Vec::new()))
                .collect();
            for (host, (cpu, memory, mood)) in hosts.iter_mut().zip(amounts) {
                host.capacity.cpu = Cpu(cpu * 10);
                host.capacity.memory = MemoryMib(memory * 1024);
                host.maintenance = mood == 1;
                host.migrations = u16::from(mood == 2);
            }
            for (vm, place) in machines.into_iter().zip(places) {
                hosts[place].vms.push(vm);
            }
            hosts
        })
    })
}

fn problem(hosts: &[Host], goal: Goal, style: Style) -> Problem<'_> {
    Problem {
        hosts,
        distance: &[],
        goal,
        style,
    }
}

/// (remaining, price) of the best configuration that the search finds.
fn searched(problem: &Problem<'_>) -> ((u64, u64), bool) {
    let mut model = Model::new(problem);
    let search = Repair::new(&mut model, Budget::new(AMPLE));
    let (best, complete, _) = search.run();
    let best = best.expect("to move nothing is always possible");
    ((best.remaining, best.price), complete)
}

fn goals() -> impl Strategy<Value = Goal> {
    prop_oneof![
        3 => Just(Goal::Relieve),
        1 => Just(Goal::Consolidate { host: peer(1) }),
        1 => Just(Goal::Evacuate { host: peer(1) }),
    ]
}

fn styles() -> impl Strategy<Value = Style> {
    prop_oneof![Just(Style::Published), Just(ours())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_tiny_group_is_solved_as_well_as_by_trying_everything(
        hosts in groups(3, 6),
        style in styles(),
    ) {
        let problem = problem(&hosts, Goal::Relieve, style);
        let (found, complete) = searched(&problem);
        prop_assert!(complete);
        prop_assert_eq!(found, brute::best(&problem));
        let solution = solve(&problem, AMPLE);
        prop_assert!(solution.exact);
        let over: u64 = Model::new(&problem).overload();
        let busy: u64 = hosts
            .iter()
            .filter(|host| host.migrations > 0)
            .map(|host| u64::from(host.demand().minus(host.capacity.cpu).0))
            .sum();
        prop_assert_eq!(u64::from(solution.relieved.0), over - busy - found.0);
    }

    #[test]
    fn every_plan_can_be_carried_out(
        hosts in groups(6, 30),
        goal in goals(),
        style in styles(),
        budget in prop_oneof![Just(10_u64), Just(500), Just(20_000)],
    ) {
        let solution = solve(&problem(&hosts, goal, style), budget);
        prop_assert_eq!(solution.plan.check(&hosts), Ok(()));
    }

    #[test]
    fn a_plan_leaves_what_it_says(hosts in groups(6, 30), style in styles()) {
        let solution = solve(&problem(&hosts, Goal::Relieve, style), 20_000);
        let mut after = hosts.clone();
        for step in &solution.plan.steps {
            let source = after.iter_mut().find(|host| host.peer == step.source).unwrap();
            let at = source.vms.iter().position(|vm| vm.id == step.vm).unwrap();
            let vm = source.vms.remove(at);
            after.iter_mut().find(|host| host.peer == step.target).unwrap().vms.push(vm);
        }
        let over = |hosts: &[Host]| -> u32 {
            hosts.iter().map(|host| host.demand().minus(host.capacity.cpu).0).sum()
        };
        prop_assert_eq!(over(&hosts) - over(&after), solution.relieved.0);
        prop_assert_eq!(solution.solved, over(&after) == 0);
    }

    #[test]
    fn the_search_is_never_worse_than_its_first_guess(
        hosts in groups(5, 25),
        style in styles(),
    ) {
        let problem = problem(&hosts, Goal::Relieve, style);
        let mut model = Model::new(&problem);
        let (moves, _) = shed::relieve(&mut model, style, &mut Budget::new(2_000));
        let gives = model.loads.iter().filter(|load| load.gives);
        let left: u64 = gives.map(super::super::model::Load::over).sum();
        for step in moves.iter().rev() {
            model.undo(*step);
        }
        let guess = (left, brute::price(&mut model, &moves));
        let found: Vec<_> = moves
            .iter()
            .map(|step| {
                let item = &model.items[step.item];
                (item.host, item.vms.clone(), step.target)
            })
            .collect();
        let mut search = Repair::new(&mut model, Budget::new(2_000));
        search.seed(&found);
        let (best, _, _) = search.run();
        let best = best.expect("the guess at the least");
        prop_assert!((best.remaining, best.price) <= guess);
    }

    #[test]
    fn the_same_question_has_the_same_answer(
        hosts in groups(6, 30),
        goal in goals(),
        style in styles(),
    ) {
        let problem = problem(&hosts, goal, style);
        prop_assert_eq!(solve(&problem, 5_000), solve(&problem, 5_000));
    }

    #[test]
    fn a_consolidation_empties_its_host_or_moves_nothing(
        hosts in groups(4, 16),
        style in styles(),
    ) {
        let goal = Goal::Consolidate { host: peer(1) };
        let solution = solve(&problem(&hosts, goal, style), 20_000);
        let moved = solution.plan.steps.len();
        prop_assert!(moved == 0 || (moved == hosts[0].vms.len() && solution.solved));
    }
}
