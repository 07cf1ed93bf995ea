// Package wire fills the messages of different libraries with the same random values, for tests that
// compare what the libraries make of them.
package wire

import (
	"reflect"
)

// Source gives the random numbers; equal sources fill alike.
type Source interface{ Uint64() uint64 }

// Fill sets the exported fields of the struct that v points to. Structs with the same fields in the
// same order get the same values from equal sources. Nesting is at most depth levels.
func Fill(v any, src Source, depth int) { fill(reflect.ValueOf(v).Elem(), src, depth) }

func fill(v reflect.Value, src Source, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), src, depth)
			}
		}
	case reflect.Pointer:
		if src.Uint64()%2 == 0 && depth > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), src, depth-1)
		}
	case reflect.Slice:
		fillSlice(v, src, depth)
	case reflect.Bool:
		v.SetBool(src.Uint64()%2 == 0)
	case reflect.Int32: // an enum
		v.SetInt(int64(number(src) % 30))
	case reflect.Uint64:
		v.SetUint(number(src))
	}
}

func fillSlice(v reflect.Value, src Source, depth int) {
	n := int(src.Uint64() % 5)
	elem := v.Type().Elem()
	switch {
	case elem.Kind() == reflect.Uint8:
		if n > 0 { // 1 is empty, not nil
			v.SetBytes(data(src, n-1))
		}
	case n == 0 || depth == 0:
	default:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), src, depth-1)
		}
	}
}

// number gives each length of a varint its turn, zero among them.
func number(src Source) uint64 {
	x := src.Uint64()
	if x%4 == 0 {
		return 0
	}
	return src.Uint64() >> (x >> 8 % 64)
}

func data(src Source, n int) []byte {
	b := make([]byte, n*n*n)
	for i := range b {
		b[i] = byte(src.Uint64())
	}
	return b
}
