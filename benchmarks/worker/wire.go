package main

import (
	"bytes"

	"quorate.example/raft/benchmarks/internal/measure"
)

func init() { families["wire"] = wire }

var sink int

// wire encodes, decodes or sizes an append of 64 entries of 100 bytes.
func wire(b *bench) {
	const count = 64
	p := measure.NewPayloads(count, 100)
	entries := make([]entry, count)
	for i := range entries {
		entries[i] = newEntry(7, uint64(1000+i), p.At(i))
	}
	m := appendOf(1, 2, 7, 999, entries)
	raw := marshal(&m)
	var got message
	work := map[string]func(){
		"marshal":   func() { sink += len(marshal(&m)) },
		"unmarshal": func() { got = unmarshal(raw) },
		"size":      func() { sink += sizeOf(&m) },
	}[b.Param]
	for i := 0; i < b.N/10; i++ {
		work()
	}
	b.Start()
	for i := 0; i < b.N; i++ {
		work()
	}
	b.Stop()
	measure.Check(b.Param == "unmarshal" || sink > 0, "nothing was done")
	got = unmarshal(raw)
	measure.Check(bytes.Equal(marshal(&got), raw) && sizeOf(&got) == len(raw), "bytes differ after a round trip")
	entries = entriesOf(&got)
	measure.Check(len(entries) == count && bytes.Equal(entryData(&entries[9]), p.At(9)), "entries differ")
}
