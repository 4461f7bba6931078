"""Screen 1: the teacher."""
