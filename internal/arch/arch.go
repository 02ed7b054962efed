// Package arch holds the import rule of ARCHITECTURE.md as a table in rules_test.go, which a test compares with the code. It has no code.
package arch
