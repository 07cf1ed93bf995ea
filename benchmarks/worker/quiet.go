//go:build v36 || v37

package main

// silence is a Logger that drops everything: the cheapest one that these libraries can be given.
type silence struct{}

func quiet() silence { return silence{} }

func (silence) Debug(...any)              {}
func (silence) Debugf(string, ...any)     {}
func (silence) Info(...any)               {}
func (silence) Infof(string, ...any)      {}
func (silence) Warning(...any)            {}
func (silence) Warningf(string, ...any)   {}
func (silence) Error(...any)              {}
func (silence) Errorf(string, ...any)     {}
func (silence) Fatal(v ...any)            { panic(v) }
func (silence) Fatalf(f string, v ...any) { panic(f) }
func (silence) Panic(v ...any)            { panic(v) }
func (silence) Panicf(f string, v ...any) { panic(f) }
