//! `vrrp_sync_group`: routers that move together.

use super::draft::{Draft, Group, Track};
use super::global::{Defaults, mail};
use super::instance::named;
use super::report::Report;
use super::script::Definitions;
use super::seldom::seldom;
use super::shared::{Tracking, programs};
use super::words::Directive;

/// Whose checks count for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checks {
    /// A member's for itself, the group's for all.
    Own,
    /// Every member's for all (`global_tracking`).
    Everyones,
}

/// Reads one group, when every instance has been read.
pub(super) fn read(
    block: &Directive,
    defaults: &Defaults,
    definitions: &mut Definitions,
    draft: &mut Draft,
    report: &mut Report,
) {
    report.honoured(block, "syncGroups");
    let mut group = Group {
        name: named(block.value()),
        ..Group::default()
    };
    let mut tracks = Vec::new();
    let mut checks = Checks::Own;
    for at in block.inner() {
        let user = defaults.script_user.as_deref();
        let mut tracking = Tracking {
            user,
            definitions: &mut *definitions,
            report: &mut *report,
        };
        if let Some(all) = tracking.tracks(at, "") {
            tracks.extend(all);
        } else if !programs(at, user, &mut group.notify, report) {
            checks = directive(at, &mut group, checks, report);
        }
    }
    for name in &group.routers {
        if !draft.routers.iter().any(|router| router.name == *name) {
            let sentence = format!("{name} is in a sync group, but not defined");
            report.trap(block.line, sentence);
        }
    }
    group
        .routers
        .retain(|name| draft.routers.iter().any(|it| it.name == *name));
    spread(&group, &tracks, checks, draft);
    if group.routers.len() < 2 {
        let sentence = "a sync group of one: its router moves by itself, and no group was \
                        written";
        return report.trap(block.line, sentence);
    }
    draft.groups.push(group);
}

fn directive(
    at: &Directive,
    group: &mut Group,
    checks: Checks,
    report: &mut Report,
) -> Checks {
    match at.name() {
        "group" => {
            report.honoured(at, "syncGroups[].routers");
            for one in at.inner() {
                group
                    .routers
                    .extend(one.words.iter().map(|name| named(name)));
                report.honoured(one, "");
            }
        }
        "global_tracking" => {
            report.honoured(at, "the checks of each of its routers, for all of them");
            return Checks::Everyones;
        }
        "sync_group_tracking_weight" => {
            report.not_needed(at, "the group's checks count for all of its routers");
        }
        "notify_priority_changes" => {
            group.priority_changes = Some(at.is_on());
            report.honoured(at, "notify.priorityChanges of its routers");
        }
        "smtp_alert" | "no_smtp_alert" => mail(at, report),
        _ => seldom(at, report),
    }
    checks
}

/// The group's checks become those of each member.
fn spread(group: &Group, tracks: &[Track], checks: Checks, draft: &mut Draft) {
    let member = |name: &String| group.routers.contains(name);
    let mut all = tracks.to_vec();
    if checks == Checks::Everyones {
        let members = draft.routers.iter().filter(|router| member(&router.name));
        all.extend(members.flat_map(|router| router.tracks.clone()));
    }
    for router in &mut draft.routers {
        if member(&router.name) {
            router.priority_changes = router.priority_changes.or(group.priority_changes);
            for track in &all {
                if !router.tracks.contains(track) {
                    router.tracks.push(track.clone());
                }
            }
        }
    }
}
