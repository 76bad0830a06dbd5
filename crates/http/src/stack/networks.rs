//! Networks in CIDR notation: whose forwarded headers are believed.

use std::net::IpAddr;

/// A set of networks. Empty contains nobody.
#[derive(Debug, Clone, Default)]
pub(crate) struct Networks(Vec<Network>);

#[derive(Debug, Clone, Copy)]
struct Network {
    address: u128,
    mask: u128,
}

impl Networks {
    /// # Errors
    /// A sentence with the text that is neither an address nor a network.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|text| parse(text)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let address = bits(address);
        self.0.iter().any(|network| address & network.mask == network.address)
    }
}

/// IPv4 as the IPv6 addresses it is mapped to, so that a dual-stack socket's peers compare alike.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn parse(text: &str) -> Result<Network, String> {
    let refused = || {
        format!("http.trusted_proxies: `{text}` is not a network; write 10.0.0.0/8, fd00::/8 or one address")
    };
    let (address, length) = match text.trim().split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text.trim(), None),
    };
    let address: IpAddr = address.parse().map_err(|_| refused())?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let length: u32 = length.map_or(Ok(width), str::parse).map_err(|_| refused())?;
    if length > width {
        return Err(refused());
    }
    let mask = u128::MAX.checked_shl(width - length).unwrap_or(0);
    Ok(Network { address: bits(address) & mask, mask })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_the_networks_that_contain_it() {
        let texts = ["10.0.0.0/8", "192.0.2.7", "fd00::/8"].map(str::to_owned);
        let networks = Networks::parse(&texts).unwrap();
        for (address, inside) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd12::1", true),
            ("fe80::1", false),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(networks.contain(address.parse().unwrap()), inside, "{address}");
        }
        assert!(!Networks::default().contain("127.0.0.1".parse().unwrap()));
        let all = Networks::parse(&["0.0.0.0/0".to_owned()]).unwrap();
        assert!(all.contain("8.8.8.8".parse().unwrap()) && !all.contain("fd00::1".parse().unwrap()));
    }

    #[test]
    fn nonsense_is_named() {
        for text in ["10.0.0.0/33", "ten", "10.0.0.0/-1", "::/129", ""] {
            let message = Networks::parse(&[text.to_owned()]).unwrap_err();
            assert!(message.contains(text) && message.contains("trusted_proxies"), "{message}");
        }
    }
}
