package v37

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// checkSubset checks that each field that is set in part has the same value in full, and that what is
// set only in full is zero.
func checkSubset(t testing.TB, part, full proto.Message) {
	subset(t, part.ProtoReflect(), full.ProtoReflect())
}

func subset(t testing.TB, part, full protoreflect.Message) {
	fields := part.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		a, b := part.Get(fd), full.Get(fd)
		switch {
		case fd.IsList() && fd.Message() != nil:
			require.Equal(t, a.List().Len(), b.List().Len(), fd.FullName())
			for j := range a.List().Len() {
				subset(t, a.List().Get(j).Message(), b.List().Get(j).Message())
			}
		case fd.IsList():
			require.Equal(t, a.List().Len(), b.List().Len(), fd.FullName())
			for j := range a.List().Len() {
				require.True(t, a.List().Get(j).Equal(b.List().Get(j)), fd.FullName())
			}
		case fd.Message() != nil:
			subset(t, a.Message(), b.Message())
		default:
			require.True(t, a.Equal(b), "%s: %v, %v", fd.FullName(), a, b)
		}
	}
}
