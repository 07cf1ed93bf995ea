package measure

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDigestTellsOrderAndCountApart(t *testing.T) {
	p := NewPayloads(4, 16)
	want := p.Want(3)
	digest := func(order ...int) (d Digest) {
		for _, i := range order {
			d.Add(p.At(i))
		}
		return d
	}
	require.Equal(t, want, digest(0, 1, 2))
	require.NotEqual(t, want, digest(0, 2, 1))
	require.NotEqual(t, want, digest(0, 1))
	require.NotEqual(t, want, digest(0, 1, 3))
}

func TestPayloadsNoticeAChangedByte(t *testing.T) {
	p := NewPayloads(2, 1024)
	p.Check()
	p.At(1)[700]++
	require.Panics(t, p.Check)
}

func TestProposersNoticeAProposalAppliedTwice(t *testing.T) {
	p := NewProposers(1, 2)
	p.Applied(p.proposal(0, 0))
	require.Panics(t, func() { p.Applied(p.proposal(0, 0)) })
}

func TestSizesAreRead(t *testing.T) {
	require.Equal(t, []int{16, 1024, 65536, 1 << 20}, []int{Size("16B"), Size("1KiB"), Size("64KiB"), Size("1MiB")})
}
