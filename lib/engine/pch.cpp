// Carries the precompiled header that the areas of the engine share.
