// Carries the precompiled header of the base library.
