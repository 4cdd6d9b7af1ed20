//! One release through the whole ladder, and a sick one.

use crate::project::Project;

#[test]
fn from_a_build_to_production_and_a_sick_one_back() {
    let project = Project::new();
    let good = project.release("1.0.0", "");
    project.run(&["promote", "staging", &project.image(&good)]).exits(0);
    for environment in ["canary", "production"] {
        project.run(&["promote", environment]).exits(0);
        assert_eq!(project.get(environment, "/"), Some((200, "billing 1.0.0".to_owned())));
        assert_eq!(project.tag(environment).as_ref(), Some(&good));
    }
    let sick = project.release("1.1.0", "health-500-after=300");
    project.run(&["promote", "staging", &project.image(&sick)]).exits(0);
    project.run(&["promote", "canary"]).exits(20);
    for environment in ["canary", "production"] {
        assert_eq!(project.get(environment, "/"), Some((200, "billing 1.0.0".to_owned())));
        assert_eq!(project.instances(environment), 1);
    }
    project.run(&["history", "--verify"]).exits(0);
    let status = project.run(&["status", "--format", "json"]).exits(0).result();
    let verdicts: Vec<_> = status["environments"].as_array().unwrap().iter().map(|row| &row["verdict"]).collect();
    assert_eq!(verdicts, ["healthy", "healthy", "healthy"], "{status}");
}
