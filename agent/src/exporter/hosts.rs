//! Which `Host` a request may name. A browser whose name lookup was turned on us (DNS rebinding) names another.

use std::net::IpAddr;

use hyper::http::uri::Authority;

/// Hosts that are served beside loopback and the address that the request came in on.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    allowed: Vec<Host>,
}

/// A host without its port, in a form that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address: no browser can be misled about one.
    Address(IpAddr),
    /// A name, in lower case, without the dot that may end it.
    Name(String),
}

impl Host {
    /// Reads `name`, `name:port`, `1.2.3.4:port`, `[::1]:port` or a bare address. `None` where it is none of them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        let authority: Authority = text.parse().ok().filter(|_| !text.contains('@'))?;
        let host = authority.host();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Name(name))
    }
}

impl Hosts {
    /// Allows these names and addresses, with any port.
    pub fn new<'a>(allowed: impl IntoIterator<Item = &'a str>) -> Self {
        Self { allowed: allowed.into_iter().filter_map(Host::parse).collect() }
    }

    /// Whether a request that came in on our address `local` may name `host`.
    #[must_use]
    pub fn allow(&self, host: &Host, local: IpAddr) -> bool {
        let usual = match host {
            Host::Address(address) => address.is_loopback() || *address == local.to_canonical(),
            Host::Name(name) => name == "localhost",
        };
        usual || self.allowed.contains(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_the_own_address_and_allowed_names_are_served() {
        let hosts = Hosts::new(["Node1.Example:17546", "10.0.0.9", "fd00::9"]);
        let local: IpAddr = "::ffff:192.0.2.7".parse().expect("an address");
        for (text, expected) in [
            ("localhost", true),
            ("LocalHost.:80", true),
            ("127.0.0.1:17546", true),
            ("[::1]", true),
            ("[::1]:9", true),
            ("192.0.2.7:17546", true),
            ("node1.example", true),
            ("NODE1.example:1", true),
            ("10.0.0.9:17546", true),
            ("[fd00::9]:17546", true),
            ("192.0.2.8", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("0.0.0.0:17546", false),
        ] {
            let host = Host::parse(text).expect(text);
            assert_eq!(hosts.allow(&host, local), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_none() {
        for text in ["", ".", "a b", "user@localhost", "[::1", "localhost/x", "é"] {
            assert_eq!(Host::parse(text), None, "{text}");
        }
    }
}
