//! The bytes of a membership packet, and which of them are believed.
//!
//! ```text
//!  source 14 | target 14 | tag 1 | source's life 4 | suspicion counter 2 | target's life 4
//!            [ | a third node 18 ] [ | probe number 1 ]
//!            [ | count 2 | count × ( peer 14 | life 4 | suspicion counter 2 | state 1 ) ]
//! ```
//!
//! The first [`NAMES`] bytes never travel: the transport knows both ends, so a packet cannot claim
//! another sender. Numbers are big endian. [`Packet::parse`] looks at a whole packet before `foca`
//! sees any of it, so that a malformed one changes nothing.

use bytes::{Buf, BufMut};
use foca::{Codec, Header, Member, Message, State};
use luc_core::{PeerId, SitePrefix};
use thiserror::Error;

use super::identity::Identity;

const PEER: usize = 14;
const IDENTITY: usize = PEER + 4;
const MEMBER: usize = IDENTITY + 2 + 1;

/// How many bytes at the head of a packet are the two names.
pub(crate) const NAMES: usize = 2 * PEER;

/// How many bytes every packet has before what its tag adds.
const FIXED: usize = 1 + 4 + 2 + 4;

/// Why bytes were not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.reason())]
pub(crate) enum WireError {
    /// The bytes end too early.
    Short,
    /// There is no room for another item.
    Full,
    /// The tag is not one of [`Tag`].
    Tag,
    /// The state is neither alive nor suspect nor down.
    State,
    /// There are bytes after the end.
    Long,
    /// It speaks of a node that cannot be in this pool, or asks a node to probe itself.
    Stranger,
}

impl WireError {
    /// In words that a log line can carry.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Short => "a membership packet is cut short",
            Self::Full => "a membership packet is full",
            Self::Tag => "a membership packet has an unknown tag",
            Self::State => "a membership packet names an unknown state",
            Self::Long => "a membership packet has bytes after its end",
            Self::Stranger => "a membership packet speaks of a node that has no place in it",
        }
    }
}

/// What kind of packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Ping,
    Ack,
    PingReq,
    IndirectPing,
    IndirectAck,
    ForwardedAck,
    Announce,
    Feed,
    Gossip,
    Broadcast,
    TurnUndead,
}

impl Tag {
    const ALL: [Self; 11] = [
        Self::Ping,
        Self::Ack,
        Self::PingReq,
        Self::IndirectPing,
        Self::IndirectAck,
        Self::ForwardedAck,
        Self::Announce,
        Self::Feed,
        Self::Gossip,
        Self::Broadcast,
        Self::TurnUndead,
    ];

    fn read(byte: u8) -> Result<Self, WireError> {
        Self::ALL
            .get(usize::from(byte))
            .copied()
            .ok_or(WireError::Tag)
    }

    const fn names_a_third(self) -> bool {
        matches!(
            self,
            Self::PingReq | Self::IndirectPing | Self::IndirectAck | Self::ForwardedAck
        )
    }

    const fn is_numbered(self) -> bool {
        matches!(self, Self::Ping | Self::Ack) || self.names_a_third()
    }

    const fn tells_members(self) -> bool {
        !matches!(self, Self::Announce | Self::TurnUndead | Self::Broadcast)
    }

    /// How many bytes come before the members, names left out.
    const fn head(self) -> usize {
        FIXED
            + if self.names_a_third() { IDENTITY } else { 0 }
            + if self.is_numbered() { 1 } else { 0 }
    }
}

/// What the overlay itself reads in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The kind.
    pub tag: Tag,
    /// The sender's incarnation.
    pub incarnation: u32,
    /// The number of the probe, if it belongs to one.
    pub number: Option<u8>,
}

impl Packet {
    /// Reads a packet without names and checks all of it. `me` is the receiver; `site` is the site
    /// that every node in it has to be of, if it has to be of one.
    pub(crate) fn parse(
        packet: &[u8],
        me: PeerId,
        site: Option<SitePrefix>,
    ) -> Result<Self, WireError> {
        let read = Self::head(packet)?;
        let head = read.tag.head();
        let belongs = |peer: PeerId| site.is_none_or(|site| peer.site == site);
        if read.tag.names_a_third() {
            let third = get_identity(&mut &packet[FIXED..])?.peer;
            if third == me || !belongs(third) {
                return Err(WireError::Stranger);
            }
        }
        let mut rest = &packet[head..];
        if rest.is_empty() {
            return Ok(read);
        }
        if !read.tag.tells_members() {
            return Err(WireError::Long);
        }
        let count = usize::from(rest.try_get_u16().map_err(|_| WireError::Short)?);
        for _ in 0..count {
            let (identity, _, _) = get_member(&mut rest)?;
            if !belongs(identity.peer) {
                return Err(WireError::Stranger);
            }
        }
        if rest.is_empty() {
            Ok(read)
        } else {
            Err(WireError::Long)
        }
    }

    /// Reads the head of a packet without names.
    pub(crate) fn head(packet: &[u8]) -> Result<Self, WireError> {
        let tag = Tag::read(*packet.first().ok_or(WireError::Short)?)?;
        let head = tag.head();
        if packet.len() < head {
            return Err(WireError::Short);
        }
        let mut after_tag = &packet[1..];
        Ok(Self {
            tag,
            incarnation: after_tag.get_u32(),
            number: tag.is_numbered().then(|| packet[head - 1]),
        })
    }
}

/// Writes the names that the transport knows before a packet.
pub(crate) fn put_names(source: PeerId, target: PeerId, mut buffer: impl BufMut) {
    put_peer(source, &mut buffer);
    put_peer(target, &mut buffer);
}

fn put_peer(peer: PeerId, buffer: &mut impl BufMut) {
    buffer.put_slice(peer.site.as_bytes());
    buffer.put_u64(peer.node);
}

fn get_peer(buffer: &mut impl Buf) -> Result<PeerId, WireError> {
    if buffer.remaining() < PEER {
        return Err(WireError::Short);
    }
    let mut site = [0; 6];
    buffer.copy_to_slice(&mut site);
    Ok(PeerId::new(SitePrefix::from_bytes(site), buffer.get_u64()))
}

fn get_identity(buffer: &mut impl Buf) -> Result<Identity, WireError> {
    let peer = get_peer(buffer)?;
    let incarnation = buffer.try_get_u32().map_err(|_| WireError::Short)?;
    Ok(Identity { peer, incarnation })
}

fn get_member(buffer: &mut impl Buf) -> Result<(Identity, u16, State), WireError> {
    if buffer.remaining() < MEMBER {
        return Err(WireError::Short);
    }
    let identity = get_identity(buffer)?;
    let counter = buffer.get_u16();
    let state = match buffer.get_u8() {
        0 => State::Alive,
        1 => State::Suspect,
        2 => State::Down,
        _ => return Err(WireError::State),
    };
    Ok((identity, counter, state))
}

/// Writes and reads packets for `foca`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire;

impl Codec<Identity> for Wire {
    type Error = WireError;

    fn encode_header(
        &mut self,
        header: &Header<Identity>,
        mut buffer: impl BufMut,
    ) -> Result<(), WireError> {
        let (tag, third, number) = match &header.message {
            Message::Ping(number) => (Tag::Ping, None, Some(*number)),
            Message::Ack(number) => (Tag::Ack, None, Some(*number)),
            Message::PingReq {
                target,
                probe_number,
            } => (Tag::PingReq, Some(*target), Some(*probe_number)),
            Message::IndirectPing {
                origin,
                probe_number,
            } => (Tag::IndirectPing, Some(*origin), Some(*probe_number)),
            Message::IndirectAck {
                target,
                probe_number,
            } => (Tag::IndirectAck, Some(*target), Some(*probe_number)),
            Message::ForwardedAck {
                origin,
                probe_number,
            } => (Tag::ForwardedAck, Some(*origin), Some(*probe_number)),
            Message::Announce => (Tag::Announce, None, None),
            Message::Feed => (Tag::Feed, None, None),
            Message::Gossip => (Tag::Gossip, None, None),
            Message::Broadcast => (Tag::Broadcast, None, None),
            Message::TurnUndead => (Tag::TurnUndead, None, None),
        };
        if buffer.remaining_mut() < NAMES + tag.head() {
            return Err(WireError::Full);
        }
        put_names(header.src.peer, header.dst.peer, &mut buffer);
        buffer.put_u8(tag as u8);
        buffer.put_u32(header.src.incarnation);
        buffer.put_u16(header.src_incarnation);
        buffer.put_u32(header.dst.incarnation);
        if let Some(third) = third {
            put_peer(third.peer, &mut buffer);
            buffer.put_u32(third.incarnation);
        }
        if let Some(number) = number {
            buffer.put_u8(number);
        }
        Ok(())
    }

    fn decode_header(&mut self, mut buffer: impl Buf) -> Result<Header<Identity>, WireError> {
        let source = get_peer(&mut buffer)?;
        let target = get_peer(&mut buffer)?;
        if buffer.remaining() < FIXED {
            return Err(WireError::Short);
        }
        let tag = Tag::read(buffer.get_u8())?;
        let incarnation = buffer.get_u32();
        let src_incarnation = buffer.get_u16();
        let dst_incarnation = buffer.get_u32();
        let third = if tag.names_a_third() {
            get_identity(&mut buffer)?
        } else {
            Identity::unheard(source)
        };
        let probe_number = if tag.is_numbered() {
            buffer.try_get_u8().map_err(|_| WireError::Short)?
        } else {
            0
        };
        Ok(Header {
            src: Identity {
                peer: source,
                incarnation,
            },
            src_incarnation,
            dst: Identity {
                peer: target,
                incarnation: dst_incarnation,
            },
            message: message(tag, third, probe_number),
        })
    }

    fn encode_member(
        &mut self,
        member: &Member<Identity>,
        mut buffer: impl BufMut,
    ) -> Result<(), WireError> {
        if buffer.remaining_mut() < MEMBER {
            return Err(WireError::Full);
        }
        put_peer(member.id().peer, &mut buffer);
        buffer.put_u32(member.id().incarnation);
        buffer.put_u16(member.incarnation());
        buffer.put_u8(match member.state() {
            State::Alive => 0,
            State::Suspect => 1,
            State::Down => 2,
        });
        Ok(())
    }

    fn decode_member(&mut self, mut buffer: impl Buf) -> Result<Member<Identity>, WireError> {
        let (identity, counter, state) = get_member(&mut buffer)?;
        Ok(Member::new(identity, counter, state))
    }
}

/// The message of a tag with what its packet says besides.
const fn message(tag: Tag, third: Identity, probe_number: u8) -> Message<Identity> {
    match tag {
        Tag::Ping => Message::Ping(probe_number),
        Tag::Ack => Message::Ack(probe_number),
        Tag::PingReq => Message::PingReq {
            target: third,
            probe_number,
        },
        Tag::IndirectPing => Message::IndirectPing {
            origin: third,
            probe_number,
        },
        Tag::IndirectAck => Message::IndirectAck {
            target: third,
            probe_number,
        },
        Tag::ForwardedAck => Message::ForwardedAck {
            origin: third,
            probe_number,
        },
        Tag::Announce => Message::Announce,
        Tag::Feed => Message::Feed,
        Tag::Gossip => Message::Gossip,
        Tag::Broadcast => Message::Broadcast,
        Tag::TurnUndead => Message::TurnUndead,
    }
}

#[cfg(test)]
mod tests;
