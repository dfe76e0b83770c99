"""What several commands share: sessions, inputs, outputs and checks."""
