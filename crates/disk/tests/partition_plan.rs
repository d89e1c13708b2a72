//! Plans of partitions: for every disk and every table, nothing is overlapped and all rules hold.

use std::ops::Range;

use azud_disk::partition::{
    ALIGNMENT, Entry, MIN_SIZE, NewPartition, Place, PlanRefusal, RESERVED_AT_END, Scheme, Table,
    Wish, plan,
};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn entry(number: u32, range: Range<u64>, kind: &str) -> Entry {
    Entry {
        number,
        range,
        kind: kind.to_owned(),
        name: None,
        uuid: None,
        flags: String::new(),
    }
}

fn table(scheme: Scheme, sector: u32, entries: Vec<Entry>) -> Table {
    Table {
        scheme,
        id: "1".to_owned(),
        sector,
        usable: None,
        entries,
    }
}

fn wish(size: Option<u64>, place: Place) -> Wish {
    Wish {
        size,
        place,
        scheme: Scheme::Gpt,
    }
}

const ALL: Wish = Wish {
    size: None,
    place: Place::End,
    scheme: Scheme::Gpt,
};

fn range(planned: &Result<NewPartition, PlanRefusal>) -> Range<u64> {
    planned.as_ref().expect("a plan").range.clone()
}

#[test]
fn an_empty_disk_gives_all_but_its_ends() {
    let planned = plan(10 * GIB, 512, None, ALL).expect("room");
    assert!(planned.new_table);
    assert_eq!((planned.scheme, planned.number), (Scheme::Gpt, 1));
    assert_eq!(planned.range, MIB..10 * GIB - RESERVED_AT_END);
}

#[test]
fn a_size_goes_to_the_end_of_the_last_gap_that_holds_it() {
    let taken = vec![
        entry(1, MIB..2 * GIB, "7"),
        entry(2, 4 * GIB..9 * GIB, "83"),
    ];
    let table = table(Scheme::Mbr, 512, taken);
    let place = |size| {
        range(&plan(
            10 * GIB,
            512,
            Some(&table),
            wish(Some(size), Place::End),
        ))
    };
    let end = 10 * GIB - RESERVED_AT_END;
    assert_eq!(place(500 * MIB), end - 500 * MIB..end);
    assert_eq!(place(1500 * MIB), 4 * GIB - 1500 * MIB..4 * GIB);
    // Bytes that are no whole MiB are rounded up.
    assert_eq!(place(500 * MIB + 1), end - 501 * MIB..end);
    // Without a size, the largest gap.
    assert_eq!(
        range(&plan(10 * GIB, 512, Some(&table), ALL)),
        2 * GIB..4 * GIB
    );
    assert_eq!(
        plan(10 * GIB, 512, Some(&table), wish(Some(3 * GIB), Place::End)),
        Err(PlanRefusal::TooLittleRoom {
            largest: 2 * GIB,
            needed: 3 * GIB
        })
    );
}

#[test]
fn a_start_that_is_taken_is_refused() {
    let table = table(Scheme::Gpt, 4096, vec![entry(1, MIB..2 * GIB, "L")]);
    let at = |start, size| plan(10 * GIB, 4096, Some(&table), wish(size, Place::At(start)));
    assert_eq!(range(&at(3 * GIB, Some(GIB))), 3 * GIB..4 * GIB);
    assert_eq!(
        range(&at(3 * GIB, None)),
        3 * GIB..10 * GIB - RESERVED_AT_END
    );
    for (start, size) in [
        (GIB, None),
        (2 * GIB - MIB, Some(GIB)),
        (0, Some(GIB)),
        (9 * GIB, Some(GIB)),
        (20 * GIB, None),
        (u64::MAX - u64::MAX % MIB, Some(GIB)),
    ] {
        assert!(
            matches!(at(start, size), Err(PlanRefusal::Taken { .. })),
            "{start} {size:?}"
        );
    }
    assert!(matches!(
        at(3 * GIB + 512, None),
        Err(PlanRefusal::Unaligned { .. })
    ));
}

#[test]
fn numbers_follow_the_habits_of_opengnsys() {
    let number = |scheme, numbers: &[u32]| {
        let taken = numbers.iter().map(|number| {
            let start = u64::from(*number) * 100 * MIB;
            entry(*number, start..start + 100 * MIB, "83")
        });
        let table = table(scheme, 512, taken.collect());
        plan(100 * GIB, 512, Some(&table), ALL).map(|new| new.number)
    };
    assert_eq!(number(Scheme::Mbr, &[1]), Ok(4));
    assert_eq!(number(Scheme::Mbr, &[1, 4]), Ok(3));
    assert_eq!(
        number(Scheme::Mbr, &[1, 2, 3, 4]),
        Err(PlanRefusal::NoNumber(4))
    );
    assert_eq!(number(Scheme::Gpt, &[]), Ok(1));
    assert_eq!(number(Scheme::Gpt, &[1, 2, 3]), Ok(5));
    let full: Vec<u32> = (1..=128).filter(|number| *number != 4).collect();
    assert_eq!(number(Scheme::Gpt, &full), Err(PlanRefusal::NoNumber(128)));
}

#[test]
fn logical_partitions_and_the_rest_of_their_container_are_not_free() {
    let taken = vec![
        entry(1, MIB..GIB, "7"),
        entry(2, GIB..9 * GIB, "5"),
        entry(5, GIB + MIB..2 * GIB, "83"),
    ];
    let table = table(Scheme::Mbr, 512, taken);
    assert_eq!(
        range(&plan(10 * GIB, 512, Some(&table), ALL)),
        9 * GIB..10 * GIB - RESERVED_AT_END
    );
}

#[test]
fn an_mbr_ends_where_it_can_count_to_and_a_gpt_where_it_says() {
    let mbr = table(Scheme::Mbr, 512, vec![entry(1, MIB..GIB, "7")]);
    let planned = range(&plan(4 << 40, 512, Some(&mbr), ALL));
    assert!(planned.end <= u64::from(u32::MAX) * 512 && planned.end > (2 << 40) - 2 * MIB);
    let gpt = Table {
        usable: Some(5 * GIB + 17..8 * GIB + 4096),
        ..table(Scheme::Gpt, 512, Vec::new())
    };
    assert_eq!(
        range(&plan(10 * GIB, 512, Some(&gpt), ALL)),
        5 * GIB + MIB..8 * GIB
    );
    assert!(matches!(
        plan(10 * GIB, 4096, Some(&gpt), ALL),
        Err(PlanRefusal::SectorSize { .. })
    ));
}

/// Tables as hostile as [`azud_disk::partition::read`] lets through: entries anywhere, beyond the disk too.
fn tables() -> impl Strategy<Value = Option<Table>> {
    let sector = prop_oneof![Just(512u32), Just(4096)];
    let scheme = prop_oneof![Just(Scheme::Gpt), Just(Scheme::Mbr)];
    let spans = prop::collection::vec((0..70_000u64, 0..9_000u64), 0..6);
    let usable = prop::option::of((0..30_000u64, 0..70_000u64));
    (sector, scheme, spans, usable, any::<bool>()).prop_map(
        |(sector, scheme, spans, usable, none)| {
            let unit = u64::from(sector);
            let sectors = |count: u64| count * 4096 / unit * unit;
            let entries = spans.iter().zip(1..);
            let entries = entries
                .map(|((start, len), number)| {
                    entry(number, sectors(*start)..sectors(start + len), "83")
                })
                .collect();
            let usable = usable.map(|(start, end)| sectors(start)..sectors(end));
            (!none).then(|| Table {
                usable,
                ..table(scheme, sector, entries)
            })
        },
    )
}

proptest! {
    #[test]
    fn every_plan_keeps_the_rules(
        table in tables(),
        disk_len in 0..300 * MIB,
        size in prop::option::of(0..400 * MIB),
        start in prop::option::of(prop_oneof![0..300u64, Just(u64::MAX / MIB)]),
    ) {
        let sector = table.as_ref().map_or(512, |table| table.sector);
        let place = start.map_or(Place::End, |start| Place::At(start * MIB));
        let planned = plan(disk_len, sector, table.as_ref(), wish(size, place));
        let Ok(new) = planned else { return Ok(()) };
        let NewPartition { range, number, .. } = &new;
        prop_assert!(range.start >= ALIGNMENT && range.end <= disk_len - RESERVED_AT_END);
        prop_assert!(range.start % ALIGNMENT == 0 && range.end % ALIGNMENT == 0);
        let len = range.end - range.start;
        prop_assert!(len >= MIN_SIZE);
        if let Some(size) = size {
            prop_assert!(len >= size && len < size.max(MIN_SIZE) + ALIGNMENT);
        }
        if let Place::At(start) = place {
            prop_assert_eq!(range.start, start);
        }
        if let Some(table) = &table {
            for entry in &table.entries {
                let apart = entry.range.end <= range.start || range.end <= entry.range.start
                    || entry.range.is_empty();
                prop_assert!(apart, "{:?} on {:?}", range, entry);
                prop_assert_ne!(entry.number, *number);
            }
            if let Some(usable) = &table.usable {
                prop_assert!(usable.start <= range.start && range.end <= usable.end);
            }
        }
    }
}
