"""astria-sync: folders of photos become tunes at Astria, `.prompt` files become pictures on disk."""

__version__ = "0.1.0"
