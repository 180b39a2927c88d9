//! Packets: written, read back, cut, continued and made up.

use super::*;

fn peer(node: u64) -> PeerId {
    PeerId::new(SitePrefix::from_bytes([7; 6]), node)
}

fn identity(node: u64) -> Identity {
    Identity {
        peer: peer(node),
        incarnation: node as u32 + 100,
    }
}

fn messages() -> Vec<Message<Identity>> {
    let all = |tag| message(tag, identity(3), 9);
    Tag::ALL.into_iter().map(all).collect()
}

fn encoded(message: Message<Identity>, members: &[Member<Identity>]) -> Vec<u8> {
    let header = Header {
        src: identity(1),
        src_incarnation: 5,
        dst: identity(2),
        message,
    };
    let mut bytes = Vec::new();
    Wire.encode_header(&header, &mut bytes).unwrap();
    if !members.is_empty() {
        bytes.put_u16(members.len() as u16);
        for member in members {
            Wire.encode_member(member, &mut bytes).unwrap();
        }
    }
    bytes
}

fn parse(packet: &[u8]) -> Result<Packet, WireError> {
    Packet::parse(packet, peer(2), Some(peer(2).site))
}

#[test]
fn every_header_is_read_back_as_it_was_written() {
    for message in messages() {
        let bytes = encoded(message.clone(), &[]);
        let mut rest = bytes.as_slice();
        let header = Wire.decode_header(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(header.src, identity(1));
        assert_eq!(header.src_incarnation, 5);
        assert_eq!(header.dst, identity(2));
        assert_eq!(header.message, message);
        let packet = parse(&bytes[NAMES..]).unwrap();
        assert_eq!(packet.incarnation, 101);
    }
}

#[test]
fn every_member_is_read_back_as_it_was_written() {
    for state in [State::Alive, State::Suspect, State::Down] {
        let member = Member::new(identity(4), 6, state);
        let mut bytes = Vec::new();
        Wire.encode_member(&member, &mut bytes).unwrap();
        assert_eq!(bytes.len(), MEMBER);
        assert_eq!(Wire.decode_member(bytes.as_slice()).unwrap(), member);
    }
}

#[test]
fn a_probe_and_its_answer_take_a_dozen_bytes() {
    let ping = encoded(Message::Ping(1), &[]);
    assert_eq!(ping.len() - NAMES, 12);
    let head = Packet::head(&ping[NAMES..]).unwrap();
    assert_eq!((head.tag, head.number), (Tag::Ping, Some(1)));
}

#[test]
fn a_packet_that_is_cut_or_continued_is_refused() {
    let members = [Member::alive(identity(4)), Member::down(identity(5))];
    let whole = encoded(Message::Gossip, &members);
    let packet = &whole[NAMES..];
    assert!(parse(packet).is_ok());
    for end in 0..packet.len() {
        let cut = parse(&packet[..end]);
        // A packet that ends with its header has no members, and says so.
        assert_eq!(cut.is_ok(), end == FIXED, "{end}");
    }
    let mut longer = packet.to_vec();
    longer.push(0);
    assert_eq!(parse(&longer), Err(WireError::Long));
}

#[test]
fn a_packet_about_a_stranger_is_refused() {
    let stranger = Identity {
        peer: PeerId::new(SitePrefix::from_bytes([8; 6]), 1),
        incarnation: 1,
    };
    let gossip = encoded(Message::Gossip, &[Member::alive(stranger)]);
    assert_eq!(parse(&gossip[NAMES..]), Err(WireError::Stranger));
    assert!(Packet::parse(&gossip[NAMES..], peer(2), None).is_ok());
    let own = message(Tag::PingReq, identity(2), 1);
    assert_eq!(parse(&encoded(own, &[])[NAMES..]), Err(WireError::Stranger));
}

#[test]
fn an_unknown_tag_or_state_is_refused() {
    let mut packet = encoded(Message::Announce, &[])[NAMES..].to_vec();
    packet[0] = 11;
    assert_eq!(parse(&packet), Err(WireError::Tag));
    let mut gossip = encoded(Message::Gossip, &[Member::alive(identity(4))])[NAMES..].to_vec();
    *gossip.last_mut().unwrap() = 3;
    assert_eq!(parse(&gossip), Err(WireError::State));
}
