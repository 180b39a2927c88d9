//! TLS 1.3 of the fabric: both sides show their Ed25519 node key as a raw public key (RFC 7250)
//! and prove it by the handshake's signature. No certificate, no name, no authority, no expiry.
//!
//! The side that dials knows which key must answer and accepts no other. The side that is dialled
//! takes any key here; who may talk is asked of the admission when the key is proven, so that a
//! refused peer hears why. Tickets and early data are off: each connection proves its key anew.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};

use crate::identity::{NodeKey, NodeSecret};

/// The application protocol of the handshake; it carries the version of the frames.
pub(super) const ALPN: &[u8] = b"luc/1";

/// What stands before the 32 bytes of an Ed25519 key as SubjectPublicKeyInfo (RFC 8410 section 4).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// This node's side of every handshake.
pub(super) struct Tls {
    certified: Arc<CertifiedKey>,
    provider: Arc<CryptoProvider>,
    alpn: Vec<u8>,
}

impl Tls {
    /// The side of `secret`, speaking `alpn`.
    pub(super) fn new(secret: &NodeSecret, alpn: &[u8]) -> Result<Self, Error> {
        let private = PrivatePkcs8KeyDer::from(secret.to_pkcs8());
        let signing = ring::sign::any_eddsa_type(&private)?;
        let public = CertificateDer::from(to_spki(&secret.key()));
        Ok(Self {
            certified: Arc::new(CertifiedKey::new(vec![public], signing)),
            provider: Arc::new(ring::default_provider()),
            alpn: alpn.to_vec(),
        })
    }

    /// For connections that others open: any key that is proven.
    pub(super) fn server(&self) -> Result<QuicServerConfig, Error> {
        let resolver = AlwaysResolvesServerRawPublicKeys::new(Arc::clone(&self.certified));
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(self.verifier(None))
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![self.alpn.clone()];
        config.send_tls13_tickets = 0;
        QuicServerConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
    }

    /// For a connection to the node of `expected`, and no other.
    pub(super) fn client(&self, expected: NodeKey) -> Result<QuicClientConfig, Error> {
        let resolver = AlwaysResolvesClientRawPublicKeys::new(Arc::clone(&self.certified));
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(Some(expected)))
            .with_client_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![self.alpn.clone()];
        config.resumption = Resumption::disabled();
        QuicClientConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
    }

    fn verifier(&self, expected: Option<NodeKey>) -> Arc<KeyVerifier> {
        let provider = Arc::clone(&self.provider);
        Arc::new(KeyVerifier { provider, expected })
    }
}

/// The SubjectPublicKeyInfo of a key.
fn to_spki(key: &NodeKey) -> Vec<u8> {
    [&SPKI_PREFIX[..], key.as_bytes()].concat()
}

/// The key in a SubjectPublicKeyInfo, if it is an Ed25519 one and nothing else.
pub(super) fn key_of(spki: &CertificateDer<'_>) -> Option<NodeKey> {
    let bytes = spki.as_ref().strip_prefix(&SPKI_PREFIX)?;
    bytes.try_into().ok().map(NodeKey::from_bytes)
}

/// Checks a raw public key and the proof that the peer holds its private half.
#[derive(Debug)]
struct KeyVerifier {
    provider: Arc<CryptoProvider>,
    /// The only key that may answer, on the side that dials.
    expected: Option<NodeKey>,
}

impl KeyVerifier {
    fn check(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        let key = key_of(shown).ok_or(CertificateError::BadEncoding)?;
        if self.expected.is_some_and(|expected| expected != key) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(())
    }

    fn check_proof(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        proof: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = SubjectPublicKeyInfoDer::from(shown.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &spki, proof, algorithms)
    }
}

impl ServerCertVerifier for KeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_proof(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for KeyVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_proof(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_its_own_encoding_only() {
        let key = NodeSecret::from_seed(&[7; 32]).key();
        let spki = to_spki(&key);
        assert_eq!(key_of(&CertificateDer::from(spki.clone())), Some(key));
        assert_eq!(key_of(&CertificateDer::from(spki[..43].to_vec())), None);
        let mut longer = spki.clone();
        longer.push(0);
        assert_eq!(key_of(&CertificateDer::from(longer)), None);
        let mut other = spki;
        other[8] = 0x6e; // X25519 instead of Ed25519.
        assert_eq!(key_of(&CertificateDer::from(other)), None);
    }
}
