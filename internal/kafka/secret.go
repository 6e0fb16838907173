package kafka

import "log/slog"

// redacted is printed instead of a secret.
const redacted = "REDACTED"

// Secret is text that must not be printed: fmt, slog and JSON all show a
// placeholder. A conversion to string is the only way to the text.
type Secret string

// String returns a placeholder, or an empty string for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString returns String, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue returns String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns String, for encoders of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
