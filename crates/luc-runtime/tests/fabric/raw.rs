//! A peer that holds a good key and does not keep to the frames: for showing what is refused.

use std::sync::Arc;

use luc_runtime::fabric::frame::{HEADER_BYTES, Header, Hello, Kind};
use luc_runtime::fabric::{Channel, frame};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::rustls;
use rustls::DigitallySignedStruct;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;

/// Takes any server.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// A client that shows the public key of one seed and signs with another: equal for an honest one.
pub(crate) fn client(shown: u8, signing: u8) -> quinn::ClientConfig {
    let mut private = hex_bytes("302e020100300506032b657004220420");
    private.extend([signing; 32]);
    let private = PrivatePkcs8KeyDer::from(private);
    let signer = ring::sign::any_eddsa_type(&private).unwrap();
    let mut public = hex_bytes("302a300506032b6570032100");
    public.extend(crate::node::key(shown).as_bytes());
    let certified = CertifiedKey::new(vec![CertificateDer::from(public)], signer);
    let resolver = AlwaysResolvesClientRawPublicKeys::new(Arc::new(certified));
    let mut config =
        rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone))
            .with_client_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"luc/1".to_vec()];
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()))
}

fn hex_bytes(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// A frame with its header, whatever the header says.
pub(crate) fn framed(kind: Kind, body: &[u8]) -> Vec<u8> {
    frame::encode(kind, Channel::FORWARD, body).to_vec()
}

/// A header that announces so many bytes.
pub(crate) fn header(kind: Kind, length: usize) -> [u8; HEADER_BYTES] {
    let channel = Channel::FORWARD;
    let header = Header {
        kind,
        channel,
        length,
    };
    header.encode()
}

/// Sends bytes on a stream of their own; what comes back, or how it ended.
pub(crate) async fn exchange(
    connection: &quinn::Connection,
    bytes: &[u8],
) -> Result<Vec<u8>, String> {
    let (mut send, mut recv) = connection.open_bi().await.map_err(|e| e.to_string())?;
    // A peer that stops reading in the middle is one of the outcomes.
    let _ = send.write_all(bytes).await;
    let _ = send.finish();
    recv.read_to_end(1 << 20).await.map_err(|e| e.to_string())
}

/// Says a good hello; the connection counts from then on.
pub(crate) async fn introduce(connection: &quinn::Connection) {
    let hello = Hello {
        incarnation: 7,
        has_none: false,
    };
    let hello = framed(Kind::Hello, &hello.encode());
    let welcome = exchange(connection, &hello).await.unwrap();
    assert_eq!(welcome[1], Kind::Welcome as u8);
}
