//! Whose cryptography is used, where more than one is compiled in.

/// Who does the cryptography of TLS ([`TlsConfig::provider`](crate::TlsConfig::provider)).
///
/// Needs the feature `aws-lc-rs`. Whatever is chosen, nothing is installed
/// process-wide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CryptoProvider {
    /// The crate `ring`. The default.
    #[default]
    Ring,
    /// The crate `aws-lc-rs`. Its first offer for the exchange of keys is
    /// `X25519MLKEM768`, which a later quantum computer does not break.
    AwsLcRs,
}

impl CryptoProvider {
    pub(super) fn maker(self) -> fn() -> rustls::crypto::CryptoProvider {
        match self {
            Self::Ring => rustls::crypto::ring::default_provider,
            Self::AwsLcRs => aws_lc_rs,
        }
    }
}

/// The exchange that withstands quantum computers goes first: offered last, it would
/// hardly ever be taken.
fn aws_lc_rs() -> rustls::crypto::CryptoProvider {
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
    let mut provider = default_provider();
    let first = kx_group::X25519MLKEM768;
    provider
        .kx_groups
        .retain(|group| group.name() != first.name());
    provider.kx_groups.insert(0, first);
    provider
}
