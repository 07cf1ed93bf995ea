package drill

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// did is an operation from one time to another.
func did(call, ret int64, in input, out output) porcupine.Operation {
	return porcupine.Operation{Input: in, Call: call, Output: out, Return: ret}
}

// lost is an operation without an answer.
func lost(call int64, in input) porcupine.Operation {
	return did(call, math.MaxInt64, in, output{Unknown: true})
}

func putOf(value string) input { return input{Verb: verbPut, Value: value} }

func casOf(expect uint64, value string) input {
	return input{Verb: verbCAS, Expect: expect, Value: value}
}

func at(revision uint64) output { return output{Revision: revision} }

func found(value string, revision uint64) output { return output{Value: value, Revision: revision} }

func conflict(revision uint64) output { return output{Conflict: true, Revision: revision} }

var theGet = input{Verb: verbGet}

// Claim: histories that a sound store can produce are accepted.
func TestSoundHistoriesAreAccepted(t *testing.T) {
	for name, ops := range map[string][]porcupine.Operation{
		"empty":                           {did(1, 2, theGet, output{})},
		"read what was written":           {did(1, 2, putOf("a"), at(5)), did(3, 4, theGet, found("a", 5))},
		"a read beside a write, before":   {did(1, 9, putOf("a"), at(5)), did(2, 3, theGet, output{})},
		"a read beside a write, after":    {did(1, 9, putOf("a"), at(5)), did(2, 3, theGet, found("a", 5))},
		"swap":                            {did(1, 2, putOf("a"), at(5)), did(3, 4, casOf(5, "b"), at(7)), did(5, 6, theGet, found("b", 7))},
		"swap of nothing":                 {did(1, 2, casOf(0, "a"), at(5))},
		"conflict":                        {did(1, 2, putOf("a"), at(5)), did(3, 4, casOf(4, "b"), conflict(5))},
		"a lost write that happened":      {lost(1, putOf("a")), did(3, 4, theGet, found("a", 5))},
		"a lost write that did not":       {lost(1, putOf("a")), did(3, 4, theGet, output{})},
		"a lost write that happened late": {lost(1, putOf("a")), did(3, 4, theGet, output{}), did(5, 6, theGet, found("a", 9))},
		"a lost swap that happened":       {did(1, 2, putOf("a"), at(5)), lost(3, casOf(5, "b")), did(6, 7, theGet, found("b", 8))},
		"a lost swap in vain":             {lost(1, casOf(0, "a")), did(2, 3, putOf("b"), at(5)), did(4, 5, theGet, found("b", 5))},
		"a lost write was in the way":     {lost(1, putOf("a")), did(3, 4, casOf(0, "b"), conflict(6)), did(5, 6, theGet, found("a", 6))},
	} {
		require.Equal(t, porcupine.Ok, checkKey(ops), name)
	}
}

// Claim: a lost write, a stale read, a swap that should not have happened and the like are found.
func TestBrokenHistoriesAreFound(t *testing.T) {
	for name, ops := range map[string][]porcupine.Operation{
		"lost write":                 {did(1, 2, putOf("a"), at(5)), did(3, 4, theGet, output{})},
		"stale read":                 {did(1, 2, putOf("a"), at(5)), did(3, 4, putOf("b"), at(6)), did(5, 6, theGet, found("a", 5))},
		"reads go back":              {did(1, 9, putOf("a"), at(5)), did(2, 3, theGet, found("a", 5)), did(4, 5, theGet, output{})},
		"value from nowhere":         {did(1, 2, theGet, found("x", 5))},
		"wrong revision":             {did(1, 2, putOf("a"), at(5)), did(3, 4, theGet, found("a", 6))},
		"swap of what was not there": {did(1, 2, putOf("a"), at(5)), did(3, 4, casOf(4, "b"), at(6))},
		"two swaps of one revision":  {did(1, 2, putOf("a"), at(5)), did(3, 9, casOf(5, "b"), at(6)), did(3, 9, casOf(5, "c"), at(7))},
		"conflict with nothing":      {did(1, 2, putOf("a"), at(5)), did(3, 4, casOf(5, "b"), conflict(5))},
		"a lost write comes twice": {lost(1, putOf("a")), did(3, 4, theGet, found("a", 5)),
			did(5, 6, putOf("b"), at(6)), did(7, 8, theGet, found("a", 7))},
	} {
		require.Equal(t, porcupine.Illegal, checkKey(ops), name)
	}
}

// Claim: the evidence of a violation is a history and a picture.
func TestEvidenceIsWritten(t *testing.T) {
	dir := t.TempDir()
	ops := []porcupine.Operation{did(1, 2, putOf("a"), at(5)), did(3, 4, theGet, output{}), lost(5, putOf("b"))}
	_, err := writeEvidence(dir, "drill/key-1", ops)
	require.NoError(t, err)
	history, err := os.ReadFile(dir + "/drill-key-1.jsonl")
	require.NoError(t, err)
	require.Equal(t, `{"call":1,"client":0,"input":{"verb":1,"value":"a"},"output":{"revision":5},"return":2}
{"call":3,"client":0,"input":{"verb":0},"output":{},"return":4}
{"call":5,"client":0,"input":{"verb":1,"value":"b"},"output":{"unknown":true}}
`, string(history))
	picture, err := os.ReadFile(dir + "/drill-key-1.html")
	require.NoError(t, err)
	require.Contains(t, string(picture), "<html")
}

// Claim: a key's history stays short: after so many operations, or so many without an answer, there is
// a new key, and the old one is handed over when the last answer is there.
func TestKeysRetire(t *testing.T) {
	var retired []*keyHistory
	h := newHistory(func(k *keyHistory) { retired = append(retired, k) })
	random := rand.New(rand.NewPCG(1, 1))
	var waiting []*pending
	for range liveKeys * opsOfKey * 2 {
		p := h.call(0, putOf("x"), random)
		if len(waiting) < 3 {
			waiting = append(waiting, p)
			continue
		}
		p.answer(at(1))
	}
	require.NotEmpty(t, retired)
	for _, k := range retired {
		require.Zero(t, k.pending)
		require.LessOrEqual(t, len(k.ops), opsOfKey)
	}
	before := len(retired)
	for _, p := range waiting {
		p.drop()
	}
	require.Greater(t, len(retired), before)

	silent := newHistory(func(*keyHistory) {})
	for range 500 {
		silent.call(0, putOf("x"), random).answer(output{Unknown: true})
	}
	for _, k := range silent.keys() {
		require.LessOrEqual(t, k.unknowns, unknownsOfKey+1)
	}
}

// Claim: a swap expects the newest revision that some client saw.
func TestSwapsExpectWhatWasSeen(t *testing.T) {
	h := newHistory(func(*keyHistory) {})
	random := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		p := h.call(0, input{Verb: verbCAS, Value: "x"}, random)
		require.Equal(t, p.key.revision, p.in.Expect)
		p.answer(at(p.in.Expect + 1))
	}
}

// Claim: a member that lacks one acknowledged key is found.
func TestMissingKeyIsFound(t *testing.T) {
	whole := state{items: map[string]item{"a": {Value: "a"}, "b": {Value: "b"}}}
	partial := state{items: map[string]item{"a": {Value: "a"}}}
	require.NoError(t, missing([]string{"a", "b"}, []state{whole, whole}))
	err := missing([]string{"a", "b"}, []state{whole, partial})
	require.ErrorContains(t, err, "slot 2 lacks 1 of 2")
	var broken *violationError
	require.ErrorAs(t, err, &broken)
}
