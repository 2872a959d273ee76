//! TLS over the socket: rustls with the system's roots and, if configured, one more authority.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::account::{Account, Tls};
use super::wire::Socket;
use crate::source::ErrorKind;

/// Why TLS could not be had.
pub(super) type Failed = (ErrorKind, String);

/// Shakes hands over `socket`. The certificate must be valid for the account's host; there is no way around that.
pub(super) fn shake(account: &Account, mut socket: Socket) -> Result<StreamOwned<ClientConnection, Socket>, Failed> {
    let name = ServerName::try_from(account.host.clone())
        .map_err(|_| (ErrorKind::Configuration, format!("`{}` is not a host name or address", account.host)))?;
    let config = settings(account.ca_file.as_deref())?;
    let mut tls =
        ClientConnection::new(config, name).map_err(|error| (ErrorKind::Configuration, format!("TLS: {error}")))?;
    while tls.is_handshaking() {
        if let Err(error) = tls.complete_io(&mut socket) {
            // The server learns why, if it still listens.
            let _ = tls.write_tls(&mut socket).and_then(|_| socket.flush());
            return Err(explain(account, &socket, &error));
        }
    }
    Ok(StreamOwned::new(tls, socket))
}

fn settings(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, Failed> {
    let mut roots = RootCertStore::empty();
    let certificates = authorities(ca_file).map_err(|reason| (ErrorKind::Configuration, reason))?;
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        let reason = "no certificate authority to trust: install ca-certificates or set `ca_file`";
        return Err((ErrorKind::Configuration, reason.into()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| (ErrorKind::Configuration, format!("TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The authorities to trust: the system's, and those in `ca_file`, which must be some.
///
/// # Errors
/// Text for people about `ca_file`.
pub fn authorities(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let mut certificates = rustls_native_certs::load_native_certs().certs;
    if let Some(path) = ca_file {
        let problem = |reason: String| format!("{}: {reason}", path.display());
        certificates.extend(read_file(path).map_err(problem)?);
    }
    Ok(certificates)
}

fn read_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let mut certificates = Vec::new();
    for certificate in found {
        let certificate = certificate.map_err(|error| error.to_string())?;
        // One that is none would be passed over in silence later.
        RootCertStore::empty().add(certificate.clone()).map_err(|error| error.to_string())?;
        certificates.push(certificate);
    }
    if certificates.is_empty() { Err("no certificate in it".into()) } else { Ok(certificates) }
}

fn explain(account: &Account, socket: &Socket, error: &io::Error) -> Failed {
    if let Some(fault) = socket.watch().fault() {
        return (fault.kind, format!("TLS handshake: {}", fault.reason));
    }
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let configuration = |reason: String| (ErrorKind::Configuration, reason);
    match cause {
        Some(rustls::Error::InvalidCertificate(problem)) => {
            configuration(format!("the server's certificate is refused: {}", certificate(&account.host, problem)))
        }
        Some(rustls::Error::InvalidMessage(_)) if account.tls == Tls::StartTls => {
            let reason = "after STARTTLS came something that is no TLS: somebody in between may be at work";
            (ErrorKind::Protocol, reason.into())
        }
        Some(rustls::Error::InvalidMessage(_)) => configuration(format!(
            "port {} does not speak TLS: set `tls = \"starttls\"` or another `port`",
            account.port
        )),
        Some(other) => configuration(format!("TLS handshake: {other}")),
        None => (ErrorKind::Temporary, format!("TLS handshake: {error}")),
    }
}

fn certificate(host: &str, problem: &CertificateError) -> String {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".into(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it is not for `{host}`")
        }
        CertificateError::UnknownIssuer => {
            "its issuer is not known here; a private authority goes into `ca_file`".into()
        }
        other => other.to_string(),
    }
}

/// Whether a certificate can be for `host`: a DNS name or an IP address.
pub fn is_server_name(host: &str) -> bool {
    ServerName::try_from(host).is_ok()
}
