package store

import "encoding/binary"

// The key space of one member's Pebble instance:
//
//	m<name>                     what belongs to this member alone
//	s<generation>k<key>         one key of the replicated state
//	s<generation>p<member>      the address of one member, replicated too
//	s<generation>r              the store revision, and the oldest one in the history
//	s<generation>h<revision>    what one revision changed, see history.go
//	s<generation>L<lease>       one lease
//	s<generation>a<lease><key>  a key that lives with a lease
//	s<generation>c              the number of the newest lease
//
// A snapshot that arrives is written under a generation of its own; one small record says which
// generation is the state, so that the old state is exchanged for the new one in a single write.
const (
	prefixMeta  = 'm'
	prefixState = 's'

	kindKey      = 'k'
	kindPeer     = 'p'
	kindRevision = 'r'
	kindHistory  = 'h'
	kindLease    = 'L'
	kindAttached = 'a'
	kindCounter  = 'c'
)

var (
	keyIdentity   = []byte("midentity")
	keyApplied    = []byte("mapplied")
	keyGeneration = []byte("mgeneration")
)

func generationPrefix(generation uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixState}, generation)
}

func stateKey(generation uint64, kind byte, key string) []byte {
	out := make([]byte, 0, 10+len(key))
	out = append(out, prefixState)
	out = binary.BigEndian.AppendUint64(out, generation)
	out = append(out, kind)
	return append(out, key...)
}

func peerKey(generation, id uint64) []byte {
	return numberedKey(generation, kindPeer, id)
}

// numberedKey is a key of the state that ends with a number.
func numberedKey(generation uint64, kind byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(stateKey(generation, kind, ""), n)
}

func attachedKey(generation, lease uint64, key string) []byte {
	return append(numberedKey(generation, kindAttached, lease), key...)
}

func uint64Bytes(v uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, v)
}

// prefixEnd returns the first key after all keys that start with prefix, nil if there is none.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
