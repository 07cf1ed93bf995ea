package raftpb

import "math/bits"

// sovRaft and encodeVarintRaft stand in for the generator's, which are slower. Encoding is these two,
// beside the copying of bytes.

// sovRaft returns how many bytes x takes as a varint: one for each seven bits. 9/64 is close enough to
// 1/7 for up to 64 bits.
func sovRaft(x uint64) int {
	if x < 0x80 {
		return 1
	}
	return int(uint(9*bits.Len64(x)+64) / 64)
}

// encodeVarintRaft writes v so that it ends before data[end], and returns where it begins.
func encodeVarintRaft(data []byte, end int, v uint64) int {
	if v >= 0x80 {
		return encodeLongVarint(data, end, v)
	}
	end--
	data[end] = byte(v)
	return end
}

//go:noinline
func encodeLongVarint(data []byte, end int, v uint64) int {
	begin := end - sovRaft(v)
	for i := begin; ; i++ {
		if v < 0x80 {
			data[i] = byte(v)
			return begin
		}
		data[i] = byte(v) | 0x80
		v >>= 7
	}
}
