//! Which accounts are shown by what their sockets count: ports that open, and close when a pair tells instead.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use plimsoll_common::port::{Flow, Flows, Port, plus, port_key};

use super::Meter;
use crate::{
    kernel::{Error, traffic::Both},
    ledger::traffic::{HOST, by_account, closed, interface_of, new_port},
};

impl Meter {
    /// From now on a pair tells what an account's sockets were shown for: what they count is in no port any more.
    ///
    /// `passed` is what passed the pair before it was anybody's: the sockets saw most of it, too. Gives what of it stays
    /// told by them; of the rest the pair tells alone.
    pub(super) fn close_sockets(
        &mut self,
        account: u64,
        interface: &str,
        passed: Option<&Flows>,
    ) -> Result<Option<Flows>, Error> {
        let is_open = |port: &Port| port.account == account && port.by_sockets == 1;
        if !self.maps.ports()?.values().any(is_open) {
            return Ok(None);
        }
        let counted = self.counted()?;
        let own = by_account(&counted, |cgroup| self.account_of(cgroup));
        let own = own.get(&account).copied().unwrap_or_default();
        let mut told = None;
        for (key, port) in counted.ports.iter().filter(|(_, port)| is_open(port)) {
            let mut now = closed(port, &own);
            let name = interface_of(port);
            if let Some(passed) = passed.filter(|_| name != HOST) {
                let told = told.get_or_insert([Flow::ZERO; 2]);
                for (place, passed) in passed.iter().enumerate() {
                    if name == interface && passed.total().bytes >= own[place].total().bytes {
                        now.flows[place] = port.flows[place];
                    } else {
                        told[place] = *passed;
                    }
                }
            }
            self.maps.put_port(*key, &now)?;
        }
        Ok(told)
    }

    /// Opens and closes ports for what only sockets tell of. What they counted before is no part of it where the account
    /// had another source.
    ///
    /// # Errors
    /// The kernel's.
    pub fn choose_sources(&mut self, own: &HashMap<u64, Both>) -> Result<(), Error> {
        let ports = self.maps.ports()?;
        let wanted = self.lines.by_sockets(Instant::now());
        let own = |account: u64| own.get(&account).copied().unwrap_or_default();
        let known: HashSet<u64> =
            ports.values().filter(|port| port.interface[0] != 0).map(|port| port.account).collect();
        let mut changes = Vec::new();
        for (key, port) in ports.iter().filter(|(_, port)| port.by_sockets == 1) {
            let is_wanted = wanted.get(&port.account).is_some_and(|name| *name == interface_of(port));
            if !is_wanted && self.lines.place(port.account).is_some() {
                changes.push((*key, closed(port, &own(port.account))));
            }
        }
        for (account, name) in &wanted {
            let key = port_key(*account, name.as_bytes());
            let port = ports.get(&key).copied();
            if port.is_some_and(|port| port.by_sockets == 1) {
                continue;
            }
            let mut port = port.unwrap_or_else(|| new_port(*account, name));
            if known.contains(account) {
                port.flows =
                    plus(&port.flows, &own(*account).map(|traffic| Flow::from(traffic).complement()));
            }
            port.by_sockets = 1;
            changes.push((key, port));
        }
        for (key, port) in changes {
            let result = self.maps.put_port(key, &port);
            self.or_full(result)?;
        }
        Ok(())
    }
}
