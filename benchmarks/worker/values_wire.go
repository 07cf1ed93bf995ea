//go:build !v37 && !floor

package main

func marshal(m *message) []byte {
	raw, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	return raw
}

func unmarshal(raw []byte) (m message) {
	if err := m.Unmarshal(raw); err != nil {
		panic(err)
	}
	return m
}

func sizeOf(m *message) int        { return m.Size() }
func entriesOf(m *message) []entry { return m.Entries }

func responsesOf(m *message) []message { return m.Responses }

// hardStateIn returns what a MsgStorageAppend wants saved, if it does.
func hardStateIn(m *message) (hardState, bool) {
	return hardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}, m.Term|m.Vote|m.Commit != 0
}
