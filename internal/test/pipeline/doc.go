// Package pipeline holds the tests that run the real programs as processes of
// their own, between an embedded broker and a release on disk, and kill them.
// What is published must be what internal/test/oracle says of the log. It contains
// tests alone.
package pipeline
