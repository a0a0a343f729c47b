//! The conversion of `syncGroups`.

use std::collections::BTreeSet;

use config::KeyPath;

use super::reader::Reader;
use super::{Effect, Router, SyncGroup, Track, file};

impl Reader<'_> {
    /// Each router learns which group it is in.
    pub(super) fn sync_groups(
        &mut self,
        groups: &[file::SyncGroup],
        file: &file::File,
        routers: &mut [Router],
    ) -> Vec<SyncGroup> {
        let at = KeyPath::root().key("syncGroups");
        let mut names = BTreeSet::new();
        let mut taken = BTreeSet::new();
        let mut read = Vec::new();
        for (position, group) in groups.iter().enumerate() {
            let at = at.index(position);
            if !names.insert(&group.name) {
                self.refuse::<()>(&at.key("name"), "is the name of another group");
            }
            let members_at = at.key("routers");
            if group.routers.len() < 2 {
                let problem = "must name two routers or more: one moves by itself";
                self.refuse::<()>(&members_at, problem);
            }
            for (position, name) in group.routers.iter().enumerate() {
                let at = members_at.index(position);
                if !file.routers.iter().any(|router| router.name == *name) {
                    self.refuse::<()>(&at, "is no router of this file");
                } else if !taken.insert(name) {
                    self.refuse::<()>(&at, "is in a group already");
                }
            }
            let members = || {
                let all = routers.iter();
                all.filter(|router| group.routers.contains(&router.name))
            };
            self.alike(&members().collect::<Vec<_>>(), &members_at);
            let name = self.name(&group.name, &at.key("name"));
            let notify = self.notify(&group.notify, &at.key("notify"));
            if group.notify.priority_changes {
                let at = at.key("notify").key("priorityChanges");
                self.refuse::<()>(&at, "belongs to a router; a group has no priority");
            }
            for router in routers.iter_mut() {
                if group.routers.contains(&router.name) {
                    router.sync_group = Some(group.name.clone());
                }
            }
            if let (Some(name), Some(notify)) = (name, notify) {
                let routers = group.routers.clone();
                read.push(SyncGroup {
                    name,
                    routers,
                    notify,
                });
            }
        }
        read
    }

    /// What keeps members apart that are to move together.
    fn alike(&mut self, members: &[&Router], at: &KeyPath) {
        let Some((first, others)) = members.split_first() else {
            return;
        };
        let weights = |router: &Router| {
            let weighs = |track: &&Track| matches!(track.effect, Effect::Weight(_));
            let tracks = router.tracks.iter().filter(weighs);
            tracks.cloned().collect::<Vec<_>>()
        };
        for other in others {
            let pair = format!("{} and {}", first.name, other.name);
            if first.priority.is_owner() != other.priority.is_owner() {
                let problem = format!(
                    "{pair}: priority 255 is active at once, and does not wait for the \
                     others; write it for all of them or none"
                );
                self.refuse::<()>(at, problem);
            }
            if first.preempt != other.preempt {
                let problem = format!(
                    "{pair} preempt differently: the one that waits keeps all back"
                );
                self.warn(at, problem);
            }
            if weights(first) != weights(other) {
                let problem = format!(
                    "{pair} have different checks with a weight: the one that keeps its \
                     priority keeps the address of both; write the checks for all of them"
                );
                self.warn(at, problem);
            }
        }
    }
}
