"""What ranking and allocations ask of everybody, each in one place and among parts."""
