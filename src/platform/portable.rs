//! Elsewhere than on Linux: answers Unknown where it cannot know.
