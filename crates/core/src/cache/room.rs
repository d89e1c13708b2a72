//! Which items go so that something fits.

use super::{Item, Policy, Space, Stays, stays};

/// What is to go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EvictionPlan {
    /// The places of the items, in the order in which they go.
    pub victims: Vec<usize>,
    /// Bytes that are free afterwards beyond those that are now: at most.
    pub frees: u64,
    /// Bytes that are certainly free afterwards beyond those that are now.
    pub surely: u64,
    /// Whether it is certain to suffice. If not, whoever carries it out looks again after each item.
    pub certain: bool,
}

/// The room cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// Bytes that would have to become free, beyond those that are.
    pub needed: u64,
    /// Bytes that could become free, at most.
    pub could_free: u64,
    /// The items that stay, by place, and why each does.
    pub stay: Vec<(usize, Stays)>,
}

/// What has to become free for `need` more bytes.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    space: u64,
    budget: u64,
}

impl Wanted {
    fn of(need: u64, items: &[Item], space: Space, policy: &Policy) -> Self {
        let held = items.iter().map(|item| item.bytes);
        let held = held.fold(0, u64::saturating_add);
        let space_after = policy.floor.saturating_add(need);
        let beyond = |budget| held.saturating_add(need).saturating_sub(budget);
        Self {
            space: space_after.saturating_sub(space.free),
            budget: policy.budget.map_or(0, beyond),
        }
    }

    fn most(self) -> u64 {
        self.space.max(self.budget)
    }
}

/// How the space that an item gives back is counted.
type Counted = fn(&Item) -> u64;

/// What goes so that `need` more bytes fit within the policy. Bytes that are certainly free count first;
/// only where they cannot suffice, those that may be shared count too.
///
/// # Errors
/// [`Shortfall`] when even all that may go would not suffice; then nothing should go.
pub fn plan_room(
    need: u64,
    items: &[Item],
    space: Space,
    policy: &Policy,
) -> Result<EvictionPlan, Box<Shortfall>> {
    let wanted = Wanted::of(need, items, space, policy);
    let order = order(items);
    let certain: Counted = |item| item.surely.min(item.bytes);
    let chosen = match choose(items, &order, wanted, certain) {
        Ok(victims) => Ok((victims, true)),
        Err(_) => choose(items, &order, wanted, |item| item.bytes).map(|victims| (victims, false)),
    };
    let sum = |victims: &[usize], counted: Counted| {
        let bytes = victims.iter().map(|&at| counted(&items[at]));
        bytes.fold(0, u64::saturating_add)
    };
    match chosen {
        Ok((victims, is_certain)) => Ok(EvictionPlan {
            frees: sum(&victims, |item| item.bytes),
            surely: sum(&victims, certain),
            certain: is_certain,
            victims,
        }),
        Err((could, stay)) => Err(Box::new(Shortfall {
            needed: wanted.most(),
            could_free: sum(&could, |item| item.bytes),
            stay,
        })),
    }
}

/// Former versions first, each sort by its last use; the name decides between equals.
fn order(items: &[Item]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    let key = |at: &usize| {
        let item = &items[*at];
        (item.sort, item.used, item.name.as_str())
    };
    order.sort_by(|a, b| key(a).cmp(&key(b)));
    order
}

/// The items that go, in `order`. If all that may go would not do: all of them, and those that stay.
#[expect(
    clippy::type_complexity,
    reason = "a private pair that its one caller takes apart"
)]
fn choose(
    items: &[Item],
    order: &[usize],
    wanted: Wanted,
    counted: Counted,
) -> Result<Vec<usize>, (Vec<usize>, Vec<(usize, Stays)>)> {
    let mut gone = vec![false; items.len()];
    let (mut victims, mut stay) = (Vec::new(), Vec::new());
    let (mut freed, mut held) = (0_u64, 0_u64);
    let enough = |freed: u64, held: u64| freed >= wanted.space && held >= wanted.budget;
    for &at in order {
        if enough(freed, held) {
            break;
        }
        if let Some(why) = stays(items, at, &gone) {
            stay.push((at, why));
            continue;
        }
        gone[at] = true;
        freed = freed.saturating_add(counted(&items[at]));
        held = held.saturating_add(items[at].bytes);
        victims.push(at);
    }
    if !enough(freed, held) {
        return Err((victims, stay));
    }
    // Small ones that went before a large one may not have been needed: the most recently used come back first.
    for number in (0..victims.len()).rev() {
        let item = &items[victims[number]];
        let (less_freed, less_held) = (
            freed.saturating_sub(counted(item)),
            held.saturating_sub(item.bytes),
        );
        if enough(less_freed, less_held) {
            (freed, held) = (less_freed, less_held);
            victims.remove(number);
        }
    }
    Ok(victims)
}

#[cfg(test)]
mod tests {
    use super::super::{Item, Policy, Sort, Space, Stays, last_copies, may_go, may_go_even_last};
    use super::{EvictionPlan, order, plan_room};
    use proptest::prelude::*;

    fn item(name: &str, used: u64, bytes: u64) -> Item {
        Item {
            name: name.to_owned(),
            sort: Sort::Image,
            bytes,
            surely: bytes,
            used,
            pinned: false,
            in_use: false,
            half_moved: false,
            not_planned: false,
            identity: None,
            damaged: false,
            runs_on: Vec::new(),
        }
    }

    fn running(name: &str, used: u64, bytes: u64, id: u8) -> Item {
        Item {
            identity: Some([id; 32]),
            runs_on: vec![format!("part{id}")],
            ..item(name, used, bytes)
        }
    }

    const NONE: Policy = Policy {
        budget: None,
        floor: 0,
    };

    fn space(free: u64) -> Space {
        Space { total: 1000, free }
    }

    fn names(items: &[Item], plan: &EvictionPlan) -> Vec<String> {
        let name = |at: &usize| items[*at].name.clone();
        plan.victims.iter().map(name).collect()
    }

    #[test]
    fn the_least_recently_used_goes_and_no_more_than_needed() {
        let items = [item("new", 30, 50), item("old", 10, 50), item("mid", 20, 5)];
        let plan = plan_room(60, &items, space(20), &NONE).unwrap();
        assert_eq!(names(&items, &plan), ["old"]);
        assert_eq!((plan.frees, plan.surely, plan.certain), (50, 50, true));
        // The small one was taken on the way to the large one, and is given back.
        let plan = plan_room(95, &items, space(0), &NONE).unwrap();
        assert_eq!(names(&items, &plan), ["old", "new"]);
        assert!(
            plan_room(20, &items, space(20), &NONE)
                .unwrap()
                .victims
                .is_empty()
        );
    }

    #[test]
    fn floor_and_budget_hold_each_by_itself() {
        let items = [item("a", 1, 50), item("b", 2, 50)];
        let floor = Policy {
            budget: None,
            floor: 30,
        };
        assert_eq!(
            names(&items, &plan_room(10, &items, space(40), &floor).unwrap()),
            [""; 0]
        );
        assert_eq!(
            names(&items, &plan_room(11, &items, space(40), &floor).unwrap()),
            ["a"]
        );
        let budget = Policy {
            budget: Some(100),
            floor: 0,
        };
        assert_eq!(
            names(&items, &plan_room(1, &items, space(900), &budget).unwrap()),
            ["a"]
        );
    }

    #[test]
    fn former_versions_go_before_images() {
        let former = Item {
            sort: Sort::Former,
            ..item("z", 99, 10)
        };
        let items = [item("a", 1, 10), former];
        let plan = plan_room(5, &items, space(0), &NONE).unwrap();
        assert_eq!(names(&items, &plan), ["z"]);
    }

    #[test]
    fn what_may_not_go_is_named_with_its_reason() {
        let pinned = Item {
            pinned: true,
            ..item("pinned", 1, 10)
        };
        let used = Item {
            in_use: true,
            ..item("used", 2, 10)
        };
        let half = Item {
            half_moved: true,
            ..item("half", 4, 10)
        };
        let unplanned = Item {
            not_planned: true,
            ..item("unplanned", 5, 10)
        };
        let last = running("last", 3, 10, 7);
        let items = [pinned, used, last, half, item("free", 4, 10), unplanned];
        let short = plan_room(11, &items, space(0), &NONE).unwrap_err();
        assert_eq!((short.needed, short.could_free), (11, 10));
        assert_eq!(
            short.stay,
            [
                (0, Stays::Pinned),
                (1, Stays::InUse),
                (2, Stays::LastCopy("part7".into())),
                (3, Stays::HalfMoved),
                (5, Stays::NotPlanned)
            ]
        );
    }

    #[test]
    fn of_two_copies_one_goes_but_a_damaged_one_stands_in_for_none() {
        let mut items = [running("a", 1, 10, 7), running("b", 2, 10, 7)];
        let plan = plan_room(10, &items, space(0), &NONE).unwrap();
        assert_eq!(names(&items, &plan), ["a"]);
        assert!(plan_room(11, &items, space(0), &NONE).is_err());
        items[1].damaged = true;
        let plan = plan_room(10, &items, space(0), &NONE).unwrap();
        assert_eq!(names(&items, &plan), ["b"], "the damaged one goes");
        assert_eq!(
            may_go(&items, &[1, 0]),
            Err((0, Stays::LastCopy("part7".into())))
        );
    }

    #[test]
    fn a_last_copy_goes_where_somebody_says_so_and_nothing_else_does() {
        let mut items = [running("a", 1, 10, 7), running("b", 2, 10, 7)];
        assert_eq!(last_copies(&items, &[1, 0]), [0], "in the order of going");
        assert_eq!(last_copies(&items, &[1]), [0; 0]);
        assert_eq!(may_go_even_last(&items, &[1, 0]), Ok(()));
        items[0].pinned = true;
        let kept = may_go_even_last(&items, &[1, 0]);
        assert_eq!(kept, Err((0, Stays::Pinned)));
    }

    #[test]
    fn shared_bytes_count_only_where_nothing_else_helps() {
        let shared = Item {
            surely: 2,
            ..item("shared", 1, 50)
        };
        let items = [shared, item("own", 2, 50)];
        let plan = plan_room(50, &items, space(0), &NONE).unwrap();
        assert_eq!(
            (names(&items, &plan), plan.certain),
            (vec!["own".into()], true)
        );
        let plan = plan_room(60, &items, space(0), &NONE).unwrap();
        assert_eq!(names(&items, &plan), ["shared", "own"]);
        assert!(!plan.certain && plan.surely == 52 && plan.frees == 100);
    }

    #[test]
    fn defaults_leave_room_on_small_and_on_large_disks() {
        const GIB: u64 = 1 << 30;
        assert_eq!(Policy::of_size(1000 * GIB).floor, 50 * GIB);
        assert_eq!(Policy::of_size(10 * GIB).floor, GIB);
        assert_eq!(Policy::of_size(GIB).floor, GIB / 4);
    }

    /// Few identities and few sizes, so that copies and ties happen.
    fn items() -> impl Strategy<Value = Vec<Item>> {
        let one = (0u8..4, 0u64..6, 0u8..16, any::<bool>());
        proptest::collection::vec(one, 0..9).prop_map(|all| {
            let make = |(at, (id, used, flags, former)): (usize, (u8, u64, u8, bool))| Item {
                name: format!("i{at}"),
                sort: if former { Sort::Former } else { Sort::Image },
                // Equal identities mean equal files.
                bytes: [7, 10, 23, 5 + used][usize::from(id)],
                surely: [7, 3, 23, 5][usize::from(id)],
                used,
                pinned: flags == 1,
                in_use: flags == 2,
                half_moved: flags == 4,
                not_planned: flags == 5,
                damaged: flags == 3,
                identity: (id < 3).then_some([id; 32]),
                runs_on: if id < 2 {
                    vec![format!("part{id}")]
                } else {
                    vec![]
                },
            };
            all.into_iter().enumerate().map(make).collect()
        })
    }

    /// The rules once more, said of a whole set instead of step by step.
    fn allowed(items: &[Item], set: u32) -> bool {
        let goes = |at: usize| set >> at & 1 == 1;
        let held_fast = |at: usize| {
            let item = &items[at];
            item.pinned || item.in_use || item.half_moved || item.not_planned
        };
        let keeps_a_copy = |at: usize| {
            items[at].runs_on.is_empty()
                || (0..items.len()).any(|other| {
                    !goes(other)
                        && !items[other].damaged
                        && items[other].identity == items[at].identity
                })
        };
        (0..items.len()).all(|at| !goes(at) || (!held_fast(at) && keeps_a_copy(at)))
    }

    fn sum(items: &[Item], set: u32, of: impl Fn(&Item) -> u64) -> u64 {
        let inside = |at: &usize| set >> at & 1 == 1;
        (0..items.len())
            .filter(inside)
            .map(|at| of(&items[at]))
            .sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        /// Against a model that tries every set of items.
        #[test]
        fn proptest_plans_are_those_of_the_model(
            items in items(), need in 0u64..60, free in 0u64..30, floor in 0u64..15, budget in proptest::option::of(20u64..90),
        ) {
            let policy = Policy { budget, floor };
            let held: u64 = items.iter().map(|item| item.bytes).sum();
            let fits = |set: u32, of: fn(&Item) -> u64| {
                let left = held - sum(&items, set, |item| item.bytes);
                free + sum(&items, set, of) >= need + floor && budget.is_none_or(|budget| left + need <= budget)
            };
            let sets = || (0..1u32 << items.len()).filter(|&set| allowed(&items, set));
            let surely: fn(&Item) -> u64 = |item| item.surely;
            let bytes: fn(&Item) -> u64 = |item| item.bytes;
            match plan_room(need, &items, space(free), &policy) {
                Ok(plan) => {
                    let set = plan.victims.iter().fold(0, |set, at| set | 1 << at);
                    let counted = if plan.certain { surely } else { bytes };
                    prop_assert!(allowed(&items, set) && fits(set, counted));
                    prop_assert!(may_go(&items, &plan.victims).is_ok());
                    prop_assert!(plan.certain || !sets().any(|set| fits(set, surely)));
                    prop_assert_eq!(plan.frees, sum(&items, set, bytes));
                    for at in &plan.victims {
                        prop_assert!(!fits(set & !(1 << at), counted), "{} was not needed", items[*at].name);
                    }
                    // Nothing more recently used goes than has to.
                    let order = order(&items);
                    let rank = |at: usize| order.iter().position(|&other| other == at).unwrap();
                    let newest = |set: u32| (0..items.len()).filter(|at| set >> at & 1 == 1).map(rank).max();
                    let least = sets().filter(|&set| fits(set, counted)).map(newest).min().unwrap();
                    prop_assert_eq!(newest(set), least);
                }
                Err(short) => {
                    prop_assert!(!sets().any(|set| fits(set, bytes)));
                    let most = sets().map(|set| sum(&items, set, bytes)).max().unwrap();
                    prop_assert_eq!(short.could_free, most);
                    prop_assert!(short.needed > 0);
                }
            }
        }
    }
}
