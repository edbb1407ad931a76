//! The agents that are driven.

/// A published agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    /// npm `@iopipe/iopipe`, which brings the core and its plugins.
    NodeJs,
    /// PyPI `iopipe`.
    Python,
    /// Maven `com.iopipe:iopipe`.
    Java,
    /// Go module `github.com/iopipe/iopipe-go`.
    Go,
}

impl Agent {
    /// All of them, in the order in which they run.
    pub(crate) const ALL: [Self; 4] = [Self::NodeJs, Self::Python, Self::Java, Self::Go];

    /// As the agent names its language in a report, and the name of its folder in `peers/`.
    pub(crate) fn runtime(self) -> &'static str {
        match self {
            Self::NodeJs => "nodejs",
            Self::Python => "python",
            Self::Java => "java",
            Self::Go => "go",
        }
    }

    /// As the registry names it.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::NodeJs => "@iopipe/iopipe",
            Self::Python => "iopipe (Python)",
            Self::Java => "com.iopipe:iopipe",
            Self::Go => "github.com/iopipe/iopipe-go",
        }
    }

    /// The version of [`Self::package`] that the manifests in `peers/` name.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::NodeJs => "1.17.1",
            other => other.reported_version(),
        }
    }

    /// The version the agent gives in its reports; JavaScript gives that of its core.
    pub(crate) fn reported_version(self) -> &'static str {
        match self {
            Self::NodeJs => "1.19.5",
            Self::Python => "1.10.2",
            Self::Java => "1.3.0",
            Self::Go => "0.1.1",
        }
    }

    /// The name of the language runtime in a report.
    pub(crate) fn runtime_name(self) -> &'static str {
        match self {
            Self::NodeJs => "node",
            Self::Python => "CPython",
            Self::Java => "java",
            Self::Go => "go",
        }
    }

    /// For a table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::NodeJs => "JavaScript 1.17.1",
            Self::Python => "Python 1.10.2",
            Self::Java => "Java 1.3.0",
            Self::Go => "Go 0.1.1",
        }
    }

    /// The name of the function that the driver is.
    pub(crate) fn function(self) -> String {
        format!("peers-{}", self.runtime())
    }
}
