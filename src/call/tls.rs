//! Where a call gets its TLS client from: built on first use, then shared, so
//! that a program that never asks for https never pays for it.

#[cfg(feature = "tls")]
mod with {
    use std::sync::{Arc, OnceLock};

    use crate::error::{Error, Kind, Phase};
    use crate::tls::{Client, ConfigFault, Settings};

    #[derive(Clone, Debug)]
    pub(crate) struct TlsSource(Arc<Source>);

    #[derive(Debug)]
    struct Source {
        settings: Settings,
        built: OnceLock<Built>,
    }

    type Built = Result<Client, Arc<ConfigFault>>;

    impl TlsSource {
        pub(crate) fn new(settings: Settings) -> Self {
            Self(Arc::new(Source {
                settings,
                built: OnceLock::new(),
            }))
        }

        /// # Errors
        /// The settings make no usable configuration.
        pub(crate) fn client(&self) -> Result<Client, Error> {
            match self.built() {
                Ok(client) => Ok(client.clone()),
                Err(fault) => Err(unusable(fault)),
            }
        }

        /// Builds it here and now if that may take a while, so that nobody else has
        /// to. What is wrong is told by [`client`](Self::client).
        pub(crate) fn prepare(&self) {
            if self.0.settings.is_slow_to_build() {
                self.built();
            }
        }

        /// The settings, to be changed: nothing is shared with what comes of that.
        pub(crate) fn into_settings(self) -> Settings {
            match Arc::try_unwrap(self.0) {
                Ok(source) => source.settings,
                Err(shared) => shared.settings.clone(),
            }
        }

        fn built(&self) -> &Built {
            let build = || Client::build(&self.0.settings).map_err(Arc::new);
            self.0.built.get_or_init(build)
        }
    }

    #[cold]
    fn unusable(fault: &Arc<ConfigFault>) -> Error {
        let message = format!("the TLS configuration is unusable: {fault}");
        Error::new(Kind::Tls, message)
            .with_phase(Phase::Request)
            .with_source(Arc::clone(fault))
    }
}

#[cfg(not(feature = "tls"))]
mod without {
    use crate::error::{Error, Kind, Phase};
    use crate::tls::Client;

    #[derive(Clone, Debug)]
    pub(crate) struct TlsSource;

    impl TlsSource {
        pub(crate) fn client(&self) -> Result<Client, Error> {
            let message = "https needs the feature `tls`, which this build leaves out";
            Err(Error::new(Kind::InvalidUrl, message).with_phase(Phase::Request))
        }
    }
}

#[cfg(feature = "tls")]
pub(crate) use with::TlsSource;
#[cfg(not(feature = "tls"))]
pub(crate) use without::TlsSource;
