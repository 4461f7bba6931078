"""What loads torch of the students: one network a kind, and its forms."""
